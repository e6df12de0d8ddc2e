// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// What was rolled out when, by whom, and how it ended; any two revisions compared; and the
// way back.

import { useState } from 'preact/hooks';
import { api, Failure } from '../api';
import type { Change, Diff, HistoryEntry, Scene } from '../api.gen';
import { bytes, clock, seconds } from '../format';
import { useAnswer } from '../live';
import { Ask, Badge, Empty, Loading, Scroll, Trouble } from '../parts';
import { query, setQuery } from '../state';
import { outcomeTone } from '../tones';
import { known, t } from '../words';

export function History({ scene }: { scene: Scene }) {
  const { namespace, name } = scene.view;
  const { value, failure, again } = useAnswer(() => api.history(namespace, name), [scene.view.update.name, scene.view.phase]);
  const { value: access } = useAnswer(() => api.access(namespace), [namespace]);
  const [asked, setAsked] = useState<HistoryEntry | null>(null);
  const [said, setSaid] = useState('');
  const may = access?.rights?.['steer'] ?? false;
  const undo = async (e: HistoryEntry) => {
    setAsked(null);
    try {
      const result = await api.steer(namespace, name, 'undo', { uid: scene.uid, updateRevision: scene.view.update.name ?? '', revision: e.number ?? 0 });
      setSaid([result.message, ...(result.warnings ?? [])].join('. '));
      again();
    } catch (err) {
      if (err instanceof Failure) setSaid(err.message);
    }
  };
  if (failure && !value) return <Trouble failure={failure} again={again} />;
  if (!value) return <Loading />;
  if (value.length === 0) return <Empty title={t('history.none')} />;
  const newest = [...value].reverse();
  return (
    <>
      <p class="said" role="status">
        {said}
      </p>
      <Scroll label={t('tab.history')}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t('revision')}</th>
              <th scope="col">{t('outcome')}</th>
              <th scope="col">{t('started')}</th>
              <th scope="col">{t('took')}</th>
              <th scope="col">{t('who')}</th>
              <th scope="col">{t('cause')}</th>
              <th scope="col">{t('pods')}</th>
              <th scope="col">{t('action')}</th>
            </tr>
          </thead>
          <tbody>
            {newest.map((e) => {
              const off = !access ? t('loading') : !may ? t('off.right') : !e.kept ? t('off.notKept') : e.role === 'update' || e.role === 'current' ? t('off.present') : '';
              return (
                <tr key={`${e.revision}${e.startTime}`}>
                  <th scope="row">
                    {e.number ?? '–'} {e.role && <span class="faint">{known('role', e.role, e.role)}</span>}
                  </th>
                  <td>
                    {e.outcome ? <Badge tone={outcomeTone(e.outcome)}>{known('outcome', e.outcome, e.outcome)}</Badge> : '–'}
                    {e.message && (
                      <p class="faint" lang="en">
                        {e.message}
                      </p>
                    )}
                  </td>
                  <td class="number">{clock(e.startTime)}</td>
                  <td>{e.startTime && e.endTime ? seconds((Date.parse(e.endTime) - Date.parse(e.startTime)) / 1000) : ''}</td>
                  <td>{e.byManager ? `(${e.by})` : e.by}</td>
                  <td>{e.changeCause}</td>
                  <td>{e.pods ? t('pods.had', { pods: e.pods, failed: e.failedPods ?? 0 }) : ''}</td>
                  <td>
                    <button type="button" class="small" aria-disabled={off !== ''} title={off || undefined} onClick={() => (off ? setSaid(off) : setAsked(e))}>
                      {t('goBack')} <span class="hidden">{e.number}</span>
                    </button>
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </Scroll>
      <Compare scene={scene} entries={newest} />
      {asked && (
        <Ask title={t('ask', { verb: t('verb.undo'), name })} yes={t('verb.undo')} onYes={() => void undo(asked)} onNo={() => setAsked(null)}>
          <p>{t('undo.to', { revision: asked.number ?? 0 })}</p>
          <p>{t('effect.undo')}</p>
        </Ask>
      )}
    </>
  );
}

function Compare({ scene, entries }: { scene: Scene; entries: HistoryEntry[] }) {
  const { namespace, name } = scene.view;
  const kept = entries.filter((e) => e.kept && e.number);
  const numbers = [...new Set(kept.map((e) => String(e.number)))];
  const to = query.value.get('to') ?? numbers[0] ?? '';
  const from = query.value.get('from') ?? numbers[1] ?? numbers[0] ?? '';
  const [files, setFiles] = useState(false);
  const q = new URLSearchParams({ from, to, ...(files ? { files: '1' } : {}) });
  const { value, failure } = useAnswer(() => api.diff(namespace, name, q), [from, to, files]);
  const choose = (title: string, value: string, parameter: string) => (
    <label>
      {title}
      <select
        value={value}
        onChange={(e) => {
          setFiles(false);
          setQuery({ [parameter]: e.currentTarget.value });
        }}
      >
        {numbers.map((n) => (
          <option key={n}>{n}</option>
        ))}
      </select>
    </label>
  );
  return (
    <section class="card">
      <h2>{t('compare')}</h2>
      <div class="filters">
        {choose(t('compare.from'), from, 'from')}
        {choose(t('compare.to'), to, 'to')}
        <button type="button" onClick={() => setFiles(true)} disabled={files}>
          {t('compare.files')}
        </button>
      </div>
      {failure && <Trouble failure={failure} />}
      {value ? <Difference diff={value} /> : !failure && <Loading />}
    </section>
  );
}

function Difference({ diff }: { diff: Diff }) {
  const same = !diff.items && !diff.sources && !diff.lifecycle;
  return (
    <>
      {same && <p>{t('compare.same')}</p>}
      <Changes title={t('items')} changes={diff.items} />
      <Changes title={t('sources')} changes={diff.sources} />
      {diff.lifecycle && <Changes title={t('lifecycle')} changes={[{ name: 'lifecycle', change: 'changed', fields: diff.lifecycle }]} />}
      {diff.note && <p lang="en">{diff.note}</p>}
      {(diff.files ?? []).map((f) => (
        <p key={`${f.namespace}/${f.name}`}>
          {f.namespace}/{f.name}:{' '}
          {f.reason ? (
            <span lang="en">
              {f.reason}: {f.error}
            </span>
          ) : (
            t('files.count', { added: f.added.count, changed: f.changed.count, removed: f.removed.count, bytes: bytes(f.totalBytes) })
          )}
        </p>
      ))}
      {diff.nodes && (
        <Scroll label={t('nav.nodes')}>
          <table>
            <thead>
              <tr>
                <th scope="col">{t('node')}</th>
                <th scope="col">{t('pods')}</th>
                <th scope="col">{t('present')}</th>
                <th scope="col">{t('toMove')}</th>
                <th scope="col">{t('message')}</th>
              </tr>
            </thead>
            <tbody>
              {diff.nodes.map((n) => (
                <tr key={n.name}>
                  <th scope="row">{n.name}</th>
                  <td>{n.pods}</td>
                  <td>{n.error ? '?' : bytes(n.bytesPresent)}</td>
                  <td>{n.error ? '?' : bytes(n.bytesToMove)}</td>
                  <td lang="en">{n.error}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </>
  );
}

const marks: Record<string, string> = { added: '+', removed: '−', changed: '~' };

function Changes({ title, changes }: { title: string; changes: Change[] | undefined }) {
  if (!changes || changes.length === 0) return null;
  return (
    <>
      <h3>{title}</h3>
      <ul class="changes">
        {changes.map((c) => (
          <li key={c.name}>
            <span class={`change ${c.change}`}>
              <span aria-hidden="true">{marks[c.change]}</span> <span class="hidden">{known('change', c.change, c.change)}</span> {c.name}
            </span>
            <dl class="fields">
              {(c.fields ?? []).map((f) => (
                <div key={f.path}>
                  <dt>{f.path}</dt>
                  <dd>
                    {f.from && <del>{f.from}</del>} {f.to && <ins>{f.to}</ins>}
                  </dd>
                </div>
              ))}
            </dl>
          </li>
        ))}
      </ul>
    </>
  );
}
