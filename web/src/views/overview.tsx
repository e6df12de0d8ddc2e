// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// The overview: all DataSets, those that need the user first.

import { useEffect, useState } from 'preact/hooks';
import { api } from '../api';
import type { View } from '../api.gen';
import { bytes, number } from '../format';
import { useAnswer } from '../live';
import { Badge, Empty, Link, Loading, Meter, Scroll, Trouble } from '../parts';
import { query, setQuery } from '../state';
import { verdictTone } from '../tones';
import { known, t } from '../words';

const every = 5000;
const order = ['Failed', 'Blocked', 'Held', 'Unobserved', 'Running', 'NoPods', 'Done'];
const starter = `apiVersion: data.kuda.io/v1alpha1
kind: DataSet
metadata:
  name: models
spec:
  workloadSelector: {app: web}
  template:
    dataSources:
      http: {url: https://files.example.com}
    dataItems:
    - namespace: default
      name: weights
      dataSourceType: http
      remotePath: models/v1.bin
      localPath: model.bin
      version: v1`;

export function Overview() {
  const namespace = query.value.get('namespace') ?? '';
  const { value, failure, again } = useAnswer(() => api.dataSets(namespace), [namespace], every);
  useEffect(() => {
    document.title = `${t('nav.overview')} – Kuda`;
  });
  return (
    <>
      <div class="head">
        <h1>{t('nav.overview')}</h1>
        <Namespace placeholder={value?.namespace ?? ''} />
      </div>
      {failure && <Trouble failure={failure} again={again} />}
      {value?.narrowed && <p class="notice">{t('overview.narrowed', { namespace: value.namespace ?? '' })}</p>}
      {!value && !failure && <Loading />}
      {value && value.items && value.items.length > 0 && (
        <>
          <Counters views={value.items} />
          <Table views={value.items} />
        </>
      )}
      {value && (!value.items || value.items.length === 0) && (
        <Empty title={t('overview.none')}>
          <p>{t('overview.starter')}</p>
          <pre lang="en">
            <code>{starter}</code>
          </pre>
        </Empty>
      )}
    </>
  );
}

// Namespace chooses what is listed.
export function Namespace({ placeholder }: { placeholder: string }) {
  const current = query.value.get('namespace') ?? '';
  const [text, setText] = useState(current);
  useEffect(() => setText(current), [current]);
  return (
    <form
      class="inline"
      onSubmit={(e) => {
        e.preventDefault();
        setQuery({ namespace: text.trim() });
      }}
    >
      <label>
        {t('namespace')}
        <input value={text} placeholder={placeholder || t('namespace.all')} onInput={(e) => setText(e.currentTarget.value)} size={14} spellcheck={false} />
      </label>
      <button type="submit">{t('show')}</button>
    </form>
  );
}

function Counters({ views }: { views: View[] }) {
  const count = (...states: string[]) => views.filter((v) => states.includes(v.verdict.state)).length;
  const moving = views.reduce((sum, v) => sum + (v.moving?.total ?? 0) - (v.moving?.bytes ?? 0), 0);
  const [have, want] = views.reduce(
    ([a, b], v) => {
      const [x, y] = (v.ready ?? '').split('/').map(Number);
      return [a + (x || 0), b + (y || 0)];
    },
    [0, 0],
  );
  const tiles: Array<[string, string]> = [
    [t('count.all'), number(views.length)],
    [t('count.done'), number(count('Done'))],
    [t('count.running'), number(count('Running', 'Unobserved'))],
    [t('count.held'), number(count('Held'))],
    [t('count.failed'), number(count('Failed', 'Blocked'))],
    [t('count.noPods'), number(count('NoPods'))],
    [t('count.pods'), `${number(have)} / ${number(want)}`],
  ];
  if (moving > 0) tiles.push([t('count.moving'), bytes(moving)]);
  return (
    <dl class="tiles">
      {tiles.map(([title, value]) => (
        <div key={title}>
          <dt>{title}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Table({ views }: { views: View[] }) {
  const sorted = [...views].sort((a, b) => order.indexOf(a.verdict.state) - order.indexOf(b.verdict.state));
  const many = new Set(views.map((v) => v.namespace)).size > 1;
  return (
    <Scroll label={t('overview.table')}>
      <table>
        <thead>
          <tr>
            {many && <th scope="col">{t('namespace')}</th>}
            <th scope="col">{t('name')}</th>
            <th scope="col">{t('state')}</th>
            <th scope="col">{t('updated')}</th>
            <th scope="col">{t('ready')}</th>
            <th scope="col">{t('revision')}</th>
            <th scope="col">{t('step')}</th>
            <th scope="col">{t('waitsFor')}</th>
          </tr>
        </thead>
        <tbody>
          {sorted.map((v) => (
            <tr key={`${v.namespace}/${v.name}`}>
              {many && <td>{v.namespace}</td>}
              <th scope="row">
                <Link to={`/datasets/${v.namespace}/${v.name}`}>{v.name}</Link>
              </th>
              <td>
                <Badge tone={verdictTone(v.verdict.state)}>{phaseText(v)}</Badge>
              </td>
              <td>
                <span class="transfer">
                  <Meter value={v.updated} of={v.replicas} label={`${v.updated} / ${v.replicas}`} />
                  <span>
                    {number(v.updated)} / {number(v.replicas)}
                  </span>
                </span>
              </td>
              <td class="number">{v.ready}</td>
              <td class="number">{revisions(v)}</td>
              <td class="number">{v.step ? `${v.step.index} / ${v.step.of}` : ''}</td>
              <td class="message" lang="en">
                {mainMessage(v)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

// phaseText names the phase; a pause is named where it is what one has to know.
export function phaseText(v: View): string {
  if (v.paused && v.verdict.state !== 'Done' && v.verdict.state !== 'Failed') return t('phase.Paused');
  if (v.verdict.state === 'NoPods') return t('phase.NoPods');
  return known('phase', v.phase ?? '', v.phase ?? '–');
}

export function markText(mark: { name?: string; number?: number }): string {
  return mark.number ? String(mark.number) : (mark.name ?? '').replace(/^.*-/, '');
}

function revisions(v: View): string {
  const update = markText(v.update);
  return v.stable.name && v.stable.name !== v.update.name ? `${markText(v.stable)} → ${update}` : update;
}

function mainMessage(v: View): string {
  if (v.verdict.state === 'Failed' || v.verdict.state === 'Blocked') return v.verdict.message ?? v.verdict.reason ?? '';
  const alert = v.alerts?.[0];
  if (alert) return `${alert.reason}: ${alert.message}`;
  return v.waitsFor ?? '';
}
