// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// The pods of a DataSet. The server filters and sorts; the page has a window of them.

import { useEffect, useRef, useState } from 'preact/hooks';
import type { Scene } from '../api.gen';
import { number } from '../format';
import { Badge, Empty, Link, Transfer } from '../parts';
import { query, setQuery } from '../state';
import { podTone } from '../tones';
import { known, t } from '../words';

export const pageSize = 120;
// rowHeight is that of style.css.
const rowHeight = 36;
const states = ['failed', 'returning', 'updating', 'delivering', 'prefetching', 'connecting', 'prefetched', 'stable', 'updated', 'withdrawn'];

export function Pods({ scene }: { scene: Scene }) {
  const w = scene.window;
  return (
    <>
      <Filters />
      {scene.groups && scene.groups.length > 0 && (
        <ul class="legend">
          {scene.groups.map((g) => (
            <li key={g.state + g.reason}>
              <button type="button" class="small" onClick={() => setQuery({ q: g.reason, state: g.state, offset: '' })}>
                <Badge tone={podTone(g.state)}>
                  {number(g.pods)} × {g.reason}
                </Badge>
              </button>
            </li>
          ))}
        </ul>
      )}
      <p role="status">{t('pods.count', { count: number(w.total) })}</p>
      {w.total === 0 ? <Empty title={query.value.get('q') || query.value.get('state') ? t('pods.noMatch') : t('pods.none')} /> : <List scene={scene} />}
    </>
  );
}

function Filters() {
  const [text, setText] = useState(query.value.get('q') ?? '');
  const typed = useRef(false);
  useEffect(() => {
    if (!typed.current) {
      setText(query.value.get('q') ?? '');
      return;
    }
    const timer = setTimeout(() => {
      typed.current = false;
      setQuery({ q: text, offset: '' });
    }, 250);
    return () => clearTimeout(timer);
  }, [text, query.value]);
  return (
    <div class="filters">
      <label>
        {t('state')}
        <select value={query.value.get('state') ?? ''} onChange={(e) => setQuery({ state: e.currentTarget.value, offset: '' })}>
          <option value="">{t('all')}</option>
          {states.map((s) => (
            <option key={s} value={s}>
              {known('pod', s, s)}
            </option>
          ))}
        </select>
      </label>
      <label>
        {t('search')}
        <input
          type="search"
          value={text}
          onInput={(e) => {
            typed.current = true;
            setText(e.currentTarget.value);
          }}
        />
      </label>
      <label>
        {t('sort')}
        <select value={query.value.get('sort') ?? ''} onChange={(e) => setQuery({ sort: e.currentTarget.value })}>
          <option value="">{t('sort.state')}</option>
          <option value="name">{t('name')}</option>
          <option value="node">{t('node')}</option>
          <option value="progress">{t('progress')}</option>
        </select>
      </label>
    </div>
  );
}

// List has the rows of the window where they are in the whole, and asks for another window
// before the last row of this one is seen.
function List({ scene }: { scene: Scene }) {
  const w = scene.window;
  const box = useRef<HTMLDivElement>(null);
  const before = w.offset * rowHeight;
  const after = Math.max(0, (w.total - w.offset - (w.pods?.length ?? 0)) * rowHeight);
  const onScroll = () => {
    const el = box.current;
    if (!el) return;
    const first = Math.floor(el.scrollTop / rowHeight);
    const seen = Math.ceil(el.clientHeight / rowHeight);
    const margin = Math.floor((pageSize - seen) / 4);
    const ends = w.offset + (w.pods?.length ?? 0);
    if ((first - margin < w.offset && w.offset > 0) || (first + seen + margin > ends && ends < w.total)) {
      setQuery({ offset: String(Math.max(0, first - Math.floor((pageSize - seen) / 2))) });
    }
  };
  return (
    <div class="scroll tall" ref={box} onScroll={onScroll} role="region" aria-label={t('pods')} tabIndex={0}>
      <table class="fixed" aria-rowcount={w.total + 1}>
        <thead>
          <tr>
            <th scope="col">{t('name')}</th>
            <th scope="col">{t('state')}</th>
            <th scope="col">{t('node')}</th>
            <th scope="col">{t('revision')}</th>
            <th scope="col">{t('progress')}</th>
            <th scope="col">{t('message')}</th>
          </tr>
        </thead>
        <tbody>
          {before > 0 && <Gap height={before} />}
          {(w.pods ?? []).map((p, i) => (
            <tr key={p.name} aria-rowindex={w.offset + i + 2}>
              <th scope="row">
                <Link to={`/pods/${scene.view.namespace}/${p.name}`}>{p.name}</Link>
              </th>
              <td>
                <Badge tone={podTone(p.state)}>{known('pod', p.state, p.state)}</Badge>
              </td>
              <td>{p.node}</td>
              <td>{p.sees ? `${p.sees} → ${p.revision}` : p.revision}</td>
              <td>
                <Transfer progress={p.progress} />
              </td>
              <td class="message" lang="en" title={p.message}>
                {p.message}
              </td>
            </tr>
          ))}
          {after > 0 && <Gap height={after} />}
        </tbody>
      </table>
    </div>
  );
}

// Gap stands for rows that are not in the window.
function Gap({ height }: { height: number }) {
  const row = useRef<HTMLTableCellElement>(null);
  useEffect(() => {
    if (row.current) row.current.style.height = `${height}px`;
  }, [height]);
  return (
    <tr aria-hidden="true" class="gap">
      <td ref={row} colSpan={6} />
    </tr>
  );
}

