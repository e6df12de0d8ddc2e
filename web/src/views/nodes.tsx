// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Which nodes hold which items: a heat map, with the rows that are seen.

import { useEffect, useRef, useState } from 'preact/hooks';
import { api } from '../api';
import type { Held, Nodes as NodesView, Store } from '../api.gen';
import { bytes, clock, number, percent } from '../format';
import { useAnswer } from '../live';
import { Badge, Command, Empty, Loading, Meter, Trouble } from '../parts';
import { me, query } from '../state';
import { known, t } from '../words';
import { Namespace } from './overview';

const every = 10000;
const rowHeight = 40;
const margin = 10;

export function Nodes() {
  const namespace = query.value.get('namespace') ?? '';
  const { value, failure, again } = useAnswer(() => api.nodes(namespace), [namespace], every);
  useEffect(() => {
    document.title = `${t('nav.nodes')} – Kuda`;
  });
  return (
    <>
      <div class="head">
        <h1>{t('nav.nodes')}</h1>
        <Namespace placeholder="" />
      </div>
      {failure?.code === 'NodesForbidden' && <Forbidden />}
      {failure && failure.code !== 'NodesForbidden' && <Trouble failure={failure} again={again} />}
      {!value && !failure && <Loading />}
      {value && <Map view={value} />}
    </>
  );
}

function Forbidden() {
  const user = me.value?.user || 'USER';
  return (
    <Empty title={t('nodes.forbidden')}>
      <p>{t('nodes.forbidden.do')}</p>
      <Command text={`kubectl create clusterrolebinding kuda-nodes-view-alice --clusterrole kuda-nodes-view --user ${user}`} />
    </Empty>
  );
}

const signs: Record<string, string> = { complete: '✓', downloading: '↓', absent: '', stale: '?' };

function Map({ view }: { view: NodesView }) {
  const box = useRef<HTMLDivElement>(null);
  const [from, setFrom] = useState(0);
  const [chosen, setChosen] = useState<Store | null>(null);
  const stores = view.stores ?? [];
  const items = shownItems(view);
  // As many rows as the box shows, and some around them.
  const rows = Math.ceil((box.current?.clientHeight ?? 1200) / rowHeight);
  const begin = Math.max(0, from - margin);
  const end = Math.min(stores.length, from + rows + margin);
  if (stores.length === 0) return <Empty title={t('nodes.none')} />;
  return (
    <>
      <ul class="legend">
        {['complete', 'downloading', 'stale', 'absent'].map((s) => (
          <li key={s}>
            <span class={`cell ${s}`} aria-hidden="true">
              {signs[s]}
            </span>{' '}
            {known('held', s, s)}
          </li>
        ))}
        <li class="faint">{t('nodes.others', { count: number(view.otherNodes) })}</li>
      </ul>
      <div
        class="scroll tall"
        ref={box}
        role="region"
        aria-label={t('nodes.map')}
        tabIndex={0}
        onScroll={() => setFrom(Math.floor((box.current?.scrollTop ?? 0) / rowHeight))}
      >
        <table class="map" aria-rowcount={stores.length + 1}>
          <thead>
            <tr>
              <th scope="col">{t('node')}</th>
              <th scope="col">{t('used')}</th>
              {items.map((item) => (
                <th scope="col" key={`${item.namespace}/${item.dataSet}/${item.name}`}>
                  <span class="item" title={`${item.namespace}/${item.dataSet}: ${item.name} ${item.version ?? ''}`}>
                    <span class="faint">{item.dataSet}</span>
                    <br />
                    {item.name.split('/').pop()} {item.version}
                  </span>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            <Gap rows={begin} columns={items.length + 2} />
            {stores.slice(begin, end).map((s, i) => (
              <tr key={`${s.node}/${s.namespace}`} aria-rowindex={begin + i + 2} class={s.stale ? 'stale' : undefined}>
                <th scope="row">
                  <button type="button" class="plain" onClick={() => setChosen(s)}>
                    {s.node}
                  </button>{' '}
                  <span class="faint">{s.namespace}</span>
                  {hasFindings(s) && (
                    <>
                      {' '}
                      <Badge tone="warn">{t(s.unreadable ? 'keeper.unreadable' : 'keeper.damaged')}</Badge>
                    </>
                  )}
                </th>
                <td>
                  <span class="transfer">
                    <Meter value={s.usedBytes} of={s.quotaBytes || s.capacityBytes} label={bytes(s.usedBytes)} />
                    <span>{bytes(s.usedBytes)}</span>
                  </span>
                </td>
                {cells(view, s).map((held, j) => (
                  <td key={j} class="held">
                    {held && <Cell held={held} stale={Boolean(s.stale)} />}
                  </td>
                ))}
              </tr>
            ))}
            <Gap rows={stores.length - end} columns={items.length + 2} />
          </tbody>
        </table>
      </div>
      {chosen && <Details store={chosen} />}
    </>
  );
}

// shownItems are those of namespaces that have a store: others have no row.
function shownItems(view: NodesView) {
  const namespaces = new Set((view.stores ?? []).map((s) => s.namespace));
  return (view.items ?? []).filter((item) => namespaces.has(item.namespace));
}

// cells are what a store has, in the columns of all items; those of other namespaces are
// empty.
function cells(view: NodesView, store: Store): Array<Held | undefined> {
  let next = 0;
  return shownItems(view).map((item) => (item.namespace === store.namespace ? store.items?.[next++] : undefined));
}

function Cell({ held, stale }: { held: Held; stale: boolean }) {
  const state = stale && held.state !== 'absent' ? 'stale' : held.state;
  const text = `${known('held', state, state)}${held.bytes ? `, ${bytes(held.bytes)}` : ''}${held.pods ? `, ${t('pods.count', { count: held.pods })}` : ''}`;
  return (
    <span class={`cell ${state}`} title={text} role="img" aria-label={text}>
      {signs[state]}
    </span>
  );
}

function Gap({ rows, columns }: { rows: number; columns: number }) {
  const cell = useRef<HTMLTableCellElement>(null);
  useEffect(() => {
    if (cell.current) cell.current.style.height = `${rows * rowHeight}px`;
  }, [rows]);
  if (rows <= 0) return null;
  return (
    <tr aria-hidden="true" class="gap">
      <td ref={cell} colSpan={columns} />
    </tr>
  );
}

// hasFindings says whether the keeper of the node found something in the store that is not
// as it was delivered.
function hasFindings(store: Store) {
  return Boolean(store.unreadable) || (store.damaged ?? []).length > 0;
}

// Keeper is what looks after all stores of the node, and what it found in this one.
function Keeper({ store }: { store: Store }) {
  return (
    <>
      {store.keeper && (
        <p>
          {t('keeper')}: {store.keeper.podName} {store.keeper.version} · {t('keeper.reported')}: {clock(store.keeper.observedTime)}
          {store.verifiedTime && ` · ${t('keeper.verified')}: ${clock(store.verifiedTime)}`}
        </p>
      )}
      {store.unreadable && (
        <p>
          <Badge tone="warn">{t('keeper.unreadable')}</Badge> <span lang="en">{store.unreadable}</span>
        </p>
      )}
      {(store.damaged ?? []).map((d) => (
        <p key={`${d.id}${d.foundTime}`}>
          <Badge tone="warn">{t('keeper.damaged')}</Badge> {clock(d.foundTime)}: {d.path} {d.version} <span lang="en">{d.message}</span>
        </p>
      ))}
    </>
  );
}

function Details({ store }: { store: Store }) {
  return (
    <section class="card" aria-live="polite">
      <h2>
        {store.node} <span class="faint">{store.namespace}</span>
      </h2>
      {store.stale && (
        <p>
          <Badge tone="warn">{known('held', 'stale', 'stale')}</Badge> <span lang="en">{store.stale}</span>
        </p>
      )}
      <Keeper store={store} />
      <p>
        {t('used')}: {bytes(store.usedBytes)}
        {store.quotaBytes ? ` / ${bytes(store.quotaBytes)} (${percent(store.usedBytes, store.quotaBytes)} %)` : ''} · {t('free')}: {bytes(store.freeBytes)} · {t('available')}:{' '}
        {bytes(store.availableBytes)} · {t('other')}: {store.other.snapshots}, {bytes(store.other.bytes)}
      </p>
      <ul>
        {(store.items ?? []).map((held) => (
          <li key={`${held.dataSet}/${held.name}`}>
            {held.dataSet}: {held.name} {held.version}: {known('held', held.state, held.state)}
            {held.bytes ? `, ${bytes(held.bytes)}` : ''}
            {held.preheated ? `, ${t('preheated')}` : ''}
          </li>
        ))}
      </ul>
    </section>
  );
}
