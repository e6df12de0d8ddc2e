// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// One pod: what it has of each DataSet, why it is where it is, and its files.

import { useEffect, useState } from 'preact/hooks';
import { api } from '../api';
import type { CacheUse, Files, Why } from '../api.gen';
import { bytes, number, percent } from '../format';
import { useAnswer } from '../live';
import { Badge, Command, Empty, Link, Loading, Scroll, Transfer, Trouble } from '../parts';
import { itemTone, podTone } from '../tones';
import { known, t } from '../words';

export function Pod({ namespace, name }: { namespace: string; name: string }) {
  const { value, failure, again } = useAnswer(() => api.pod(namespace, name), [namespace, name], 3000);
  useEffect(() => {
    document.title = `${name} – Kuda`;
  });
  return (
    <>
      <p class="crumbs">
        <Link to="/">{t('nav.overview')}</Link> / {namespace}
      </p>
      <h1>
        <span class="faint">{t('pod')}</span> {name}
      </h1>
      {failure && <Trouble failure={failure} again={again} />}
      {!value && !failure && <Loading />}
      {value && (value.dataSets ?? []).length === 0 && <Empty title={t('pod.nothing')} />}
      {(value?.dataSets ?? []).map((d) => (
        <section class="card" key={d.dataSet}>
          <h2>
            <Link to={`/datasets/${namespace}/${d.dataSet}`}>{d.dataSet}</Link> <Badge tone={podTone(d.pod.state)}>{known('pod', d.pod.state, d.pod.state)}</Badge>
          </h2>
          <p>
            {t('node')}: {d.pod.node || '–'} · {t('revision')}: {d.pod.sees ? `${d.pod.sees} → ${d.pod.revision}` : d.pod.revision}
          </p>
          {d.pod.message && <p lang="en">{d.pod.message}</p>}
          <Scroll label={`${d.dataSet}: ${t('items')}`}>
            <table>
              <thead>
                <tr>
                  <th scope="col">{t('item')}</th>
                  <th scope="col">{t('version')}</th>
                  <th scope="col">{t('state')}</th>
                  <th scope="col">{t('progress')}</th>
                  <th scope="col">{t('origin')}</th>
                  <th scope="col">{t('reason')}</th>
                </tr>
              </thead>
              <tbody>
                {(d.pod.items ?? []).map((item) => (
                  <tr key={item.name}>
                    <th scope="row">{item.name}</th>
                    <td>{item.version}</td>
                    <td>
                      <Badge tone={itemTone(item.phase)}>{known('item', item.phase ?? '', item.phase ?? '–')}</Badge>
                    </td>
                    <td>
                      <Transfer progress={item.progress} />
                    </td>
                    <td class="short">
                      {known('origin', item.origin ?? '', item.origin ?? '–')}
                      {item.cache && <CacheShare use={item.cache} />}
                    </td>
                    <td lang="en">{[item.reason, item.message].filter(Boolean).join(': ')}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Scroll>
        </section>
      ))}
      <Placement namespace={namespace} name={name} />
      <FileList namespace={namespace} name={name} />
    </>
  );
}

// CacheShare says how much came from the cache in front of the source, and why not all.
function CacheShare({ use }: { use: CacheUse }) {
  const served = use.servedBytes ?? 0;
  const all = served + (use.sourceBytes ?? 0) + (use.rejectedBytes ?? 0);
  if (all === 0) return null;
  return (
    <span class="faint" title={use.message}>
      {' '}
      {t('cache.share', { percent: number(percent(served, all)) })} {use.fallbackReason}
    </span>
  );
}

function Placement({ namespace, name }: { namespace: string; name: string }) {
  const { value, failure, again } = useAnswer(() => api.why(namespace, name), [namespace, name]);
  return (
    <section class="card">
      <h2>{t('why')}</h2>
      {failure && <Trouble failure={failure} again={again} />}
      {!value && !failure && <Loading />}
      {value && <Explanation why={value} />}
    </section>
  );
}

function Explanation({ why }: { why: Why }) {
  return (
    <>
      {why.pending && (
        <p class="notice warn" lang="en">
          {why.pending.reason}: {why.pending.message}
        </p>
      )}
      {(why.explanation ?? []).map((line) => (
        <p key={line} lang="en">
          {line}
        </p>
      ))}
      {(why.do ?? []).map((line) => (
        <Command key={line} text={line} />
      ))}
      {(why.unread ?? []).map((line) => (
        <p key={line} lang="en" class="faint">
          {line}
        </p>
      ))}
      {why.nodes && why.nodes.length > 0 && (
        <Scroll label={t('nav.nodes')}>
          <table>
            <thead>
              <tr>
                <th scope="col">{t('node')}</th>
                <th scope="col">{t('held')}</th>
                <th scope="col">{t('missing')}</th>
                <th scope="col">{t('room')}</th>
                <th scope="col">{t('score')}</th>
                <th scope="col">{t('against')}</th>
              </tr>
            </thead>
            <tbody>
              {why.nodes.slice(0, 50).map((n) => (
                <tr key={n.name} class={n.chosen ? 'chosen' : undefined}>
                  <th scope="row">
                    {n.name} {n.chosen && <Badge tone="info">{t('chosen')}</Badge>}
                  </th>
                  <td class="number">{bytes(n.heldBytes)}</td>
                  <td>{(n.missing ?? []).join(', ')}</td>
                  <td class="number">{n.roomBytes === undefined ? '?' : bytes(n.roomBytes)}</td>
                  <td>{n.score}</td>
                  <td lang="en">{(n.against ?? []).join('; ')}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </>
  );
}

function FileList({ namespace, name }: { namespace: string; name: string }) {
  const [wanted, setWanted] = useState(false);
  return (
    <section class="card">
      <h2>{t('files')}</h2>
      {wanted ? (
        <FileTable namespace={namespace} name={name} />
      ) : (
        <>
          <p>{t('files.about')}</p>
          <button type="button" onClick={() => setWanted(true)}>
            {t('files.ask')}
          </button>
        </>
      )}
    </section>
  );
}

function FileTable({ namespace, name }: { namespace: string; name: string }) {
  const { value, failure, again } = useAnswer<Files>(() => api.files(namespace, name), [namespace, name]);
  if (failure) return <Trouble failure={failure} again={again} />;
  if (!value) return <Loading />;
  const rows = (value.dataSets ?? []).flatMap((d) => (d.items ?? []).flatMap((item) => (item.files ?? []).map((f) => ({ d, item, f }))));
  return (
    <>
      {value.note && <p lang="en">{value.note}</p>}
      {rows.length > 0 && (
        <Scroll label={t('files')}>
          <table>
            <thead>
              <tr>
                <th scope="col">{t('file')}</th>
                <th scope="col">{t('size')}</th>
                <th scope="col">{t('dataSet')}</th>
                <th scope="col">{t('digest')}</th>
              </tr>
            </thead>
            <tbody>
              {rows.slice(0, 1000).map(({ d, item, f }) => (
                <tr key={`${d.name}${f.path}`}>
                  <th scope="row">{f.path}</th>
                  <td class="number">{bytes(f.size)}</td>
                  <td>
                    {d.name}: {item.namespace}/{item.name} {item.version}
                  </td>
                  <td>
                    <code>{(f.digest ?? f.link ?? '').slice(0, 23)}</code>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </>
  );
}
