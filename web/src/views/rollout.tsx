// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// How the rollout goes on: its steps, the states of the pods, and when they got their data.

import { useEffect, useState } from 'preact/hooks';
import type { Scene, Step, Timeline } from '../api.gen';
import { clock, number, percent, seconds, since } from '../format';
import { Badge, Command, Link, Meter, Transfer } from '../parts';
import { podTone, verdictTone } from '../tones';
import { known, t } from '../words';
import { markText, phaseText } from './overview';

export function Rollout({ scene }: { scene: Scene }) {
  const v = scene.view;
  const now = useClock();
  return (
    <div class="cards">
      <section class="card">
        <h2>{t('rollout')}</h2>
        <dl class="facts">
          <dt>{t('state')}</dt>
          <dd>
            <Badge tone={verdictTone(v.verdict.state)}>{phaseText(v)}</Badge> {v.startTime && !v.endTime && t('sinceTime', { time: since(v.startTime, now) })}
          </dd>
          <dt>{t('revision')}</dt>
          <dd>
            {markText(v.update)} {v.update.cause && <span>· {v.update.cause}</span>} {v.update.by && <span class="faint">{t('by', { name: v.update.by })}</span>}
          </dd>
          {v.stable.name && v.stable.name !== v.update.name && (
            <>
              <dt>{t('stable')}</dt>
              <dd>
                {markText(v.stable)} {v.stable.cause && <span>· {v.stable.cause}</span>}
              </dd>
            </>
          )}
          <dt>{t('updated')}</dt>
          <dd>
            <span class="transfer">
              <Meter value={v.updated} of={v.replicas} label={`${v.updated} / ${v.replicas}`} />
              <span>
                {number(v.updated)} / {number(v.replicas)} ({percent(v.updated, v.replicas)} %)
              </span>
            </span>
          </dd>
          <dt>{t('ready')}</dt>
          <dd>{v.ready || '–'}</dd>
          {v.moving && v.moving.total > 0 && (
            <>
              <dt>{t('bytes')}</dt>
              <dd>
                <Transfer progress={v.moving} />
              </dd>
            </>
          )}
          {v.waitsFor && (
            <>
              <dt>{t('waitsFor')}</dt>
              <dd>
                <Command text={v.waitsFor} />
              </dd>
            </>
          )}
          {v.deadline && (
            <>
              <dt>{t('deadline')}</dt>
              <dd>{t('deadline.in', { time: seconds((Date.parse(v.deadline) - now) / 1000) })}</dd>
            </>
          )}
        </dl>
        {v.message && (
          <p lang="en" class="faint">
            {v.message}
          </p>
        )}
      </section>
      <States scene={scene} />
      {scene.steps && scene.steps.length > 0 && <Steps steps={scene.steps} />}
      <Curve line={scene.timeline} replicas={v.replicas} />
      {v.preheat && v.preheat.desired !== undefined && (
        <section class="card">
          <h2>{t('preheat')}</h2>
          <p>{t('preheat.count', { ready: v.preheat.ready ?? 0, desired: v.preheat.desired ?? 0, failed: v.preheat.failed ?? 0 })}</p>
        </section>
      )}
      {v.unread && (
        <section class="card">
          <h2>{t('unread')}</h2>
          {v.unread.map((text) => (
            <p key={text} lang="en">
              {text}
            </p>
          ))}
        </section>
      )}
    </div>
  );
}

// useClock counts seconds while the page is seen.
function useClock(): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

function States({ scene }: { scene: Scene }) {
  const counts = scene.view.counts ?? [];
  const total = counts.reduce((sum, c) => sum + c.pods, 0);
  const base = `/datasets/${scene.view.namespace}/${scene.view.name}/pods`;
  let x = 0;
  return (
    <section class="card">
      <h2>{t('pods')}</h2>
      {total === 0 && <p>{t('pods.none')}</p>}
      {total > 0 && (
        <svg class="states" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label={counts.map((c) => `${known('pod', c.state, c.state)}: ${c.pods}`).join(', ')}>
          {counts.map((c) => {
            const width = (c.pods / total) * 100;
            const part = <rect key={c.state} class={`part ${podTone(c.state)} ${c.state}`} x={x} width={width} height="10" />;
            x += width;
            return part;
          })}
        </svg>
      )}
      <ul class="legend">
        {counts.map((c) => (
          <li key={c.state}>
            <Link to={`${base}?state=${c.state}`}>
              <Badge tone={podTone(c.state)}>{known('pod', c.state, c.state)}</Badge> {number(c.pods)}
            </Link>
          </li>
        ))}
      </ul>
      {scene.view.failure && (
        <div class="notice bad">
          <p class="strong">
            {t('firstFailure')}: <Link to={`/pods/${scene.view.namespace}/${scene.view.failure.pod}`}>{scene.view.failure.pod}</Link>
          </p>
          <p lang="en">
            {[scene.view.failure.item, scene.view.failure.reason, scene.view.failure.message].filter(Boolean).join(': ')}
          </p>
          {scene.view.failure.why && <p lang="en">{scene.view.failure.why}</p>}
          {(scene.view.failure.do ?? []).map((line) => (
            <Command key={line} text={line} />
          ))}
        </div>
      )}
    </section>
  );
}

function Steps({ steps }: { steps: Step[] }) {
  return (
    <section class="card">
      <h2>{t('steps')}</h2>
      <ol class="steps">
        {steps.map((step, i) => (
          <li key={i} class={step.state} aria-current={step.state === 'current' ? 'step' : undefined}>
            <span class="mark" aria-hidden="true">
              {step.state === 'done' ? '✓' : step.state === 'current' ? '●' : i + 1}
            </span>
            <span>
              {stepText(step)} <span class="hidden">({known('step', step.state, step.state)})</span>
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}

function stepText(step: Step): string {
  switch (step.kind) {
    case 'pause':
      return step.seconds ? t('step.pauseFor', { time: seconds(step.seconds) }) : t('step.pause');
    case 'analysis':
      return t('step.analysis', { taken: (step.succeeded ?? 0) + (step.failed ?? 0), count: step.count ?? 1, failed: step.failed ?? 0 });
  }
  return t('step.partition', { partition: step.partition ?? '' });
}

const width = 600;
const height = 160;

// Curve draws how many pods had the revision by when.
function Curve({ line, replicas }: { line: Timeline; replicas: number }) {
  const at = line.seconds ?? [];
  const pods = line.pods ?? [];
  // A little room is left behind the last pod.
  const end = at[at.length - 1] ?? 0;
  const last = Math.max(1, end * 1.03);
  const most = Math.max(1, replicas);
  const x = (s: number) => (s / last) * width;
  const y = (n: number) => height - (n / most) * (height - 8);
  let d = `M0 ${height}`;
  let before = 0;
  at.forEach((s, i) => {
    d += ` L${x(s).toFixed(1)} ${y(before).toFixed(1)} L${x(s).toFixed(1)} ${y(pods[i] ?? 0).toFixed(1)}`;
    before = pods[i] ?? 0;
  });
  return (
    <section class="card wide">
      <h2>{t('timeline')}</h2>
      {at.length === 0 && <p>{t('timeline.none')}</p>}
      {at.length > 0 && (
        <figure>
          <svg class="curve" viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={t('timeline.label', { pods: before, time: seconds(end) })}>
            <path class="area" d={`${d} L${width} ${y(before).toFixed(1)} L${width} ${height} Z`} />
            <path class="line" d={`${d} L${width} ${y(before).toFixed(1)}`} />
          </svg>
          <figcaption>
            <span>{clock(line.begin)}</span>
            <span>{t('timeline.label', { pods: number(before), time: seconds(end) })}</span>
          </figcaption>
        </figure>
      )}
    </section>
  );
}

