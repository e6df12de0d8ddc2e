// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// One DataSet: its head with the buttons, and the tabs below it.

import { useEffect, useState } from 'preact/hooks';
import { api, Failure } from '../api';
import type { Choice, Scene } from '../api.gen';
import { clock } from '../format';
import { useAnswer, useScene } from '../live';
import { Ask, Badge, Link, Loading, Tabs, Trouble } from '../parts';
import { query } from '../state';
import { verdictTone } from '../tones';
import { known, t } from '../words';
import { Events } from './events';
import { Health } from './health';
import { History } from './history';
import { phaseText } from './overview';
import { Pods, pageSize } from './pods';
import { Rollout } from './rollout';
import { Yaml } from './yaml';

export function DataSet({ namespace, name, tab }: { namespace: string; name: string; tab: string }) {
  const { scene, failure } = useScene(namespace, name, windowOf(tab));
  useEffect(() => {
    document.title = scene ? `${name}: ${phaseText(scene.view)} – Kuda` : `${name} – Kuda`;
  });
  const base = `/datasets/${namespace}/${name}`;
  const tabs = ['rollout', 'pods', 'history', 'health', 'events', 'yaml'].map((id) => ({ id, title: known('tab', id, id), to: `${base}/${id}` }));
  return (
    <>
      <p class="crumbs">
        <Link to="/">{t('nav.overview')}</Link> / {namespace}
      </p>
      <div class="head">
        <h1>
          <span class="hidden">{t('dataSet')} </span>
          {name} {scene && <Badge tone={verdictTone(scene.view.verdict.state)}>{phaseText(scene.view)}</Badge>}
        </h1>
        {scene && <Buttons scene={scene} />}
      </div>
      {scene && <Announce text={announcement(scene)} />}
      {scene && (scene.trouble || failure) && (
        <p class="notice warn" role="alert">
          {t('stale', { time: clock(scene.seenTime) })} <span lang="en">{scene.trouble || failure?.message}</span>
        </p>
      )}
      {!scene && failure && <Trouble failure={failure} />}
      {!scene && !failure && <Loading />}
      {scene && <Tabs label={t('tabs')} tabs={tabs} current={tab} />}
      {scene && <Tab tab={tab} scene={scene} />}
    </>
  );
}

function Tab({ tab, scene }: { tab: string; scene: Scene }) {
  switch (tab) {
    case 'pods':
      return <Pods scene={scene} />;
    case 'history':
      return <History scene={scene} />;
    case 'health':
      return <Health scene={scene} />;
    case 'events':
      return <Events namespace={scene.view.namespace} name={scene.view.name} />;
    case 'yaml':
      return <Yaml namespace={scene.view.namespace} name={scene.view.name} />;
  }
  return <Rollout scene={scene} />;
}

// windowOf returns the query of the pods that a tab shows.
function windowOf(tab: string): string {
  const q = new URLSearchParams();
  if (tab !== 'pods') {
    q.set('limit', '1');
    return q.toString();
  }
  for (const name of ['state', 'q', 'sort', 'offset']) {
    const value = query.value.get(name);
    if (value) q.set(name, value);
  }
  q.set('limit', String(pageSize));
  return q.toString();
}

function announcement(scene: Scene): string {
  const v = scene.view;
  return `${phaseText(v)}: ${v.updated} / ${v.replicas}`;
}

// Announce tells screen readers what changed, at most every five seconds.
function Announce({ text }: { text: string }) {
  const [said, setSaid] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSaid(text), 5000);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <p class="hidden" aria-live="polite">
      {said}
    </p>
  );
}

const asking = ['abort', 'undo', 'promoteFull'];

// Buttons steer the rollout. They are off, with the reason, where the user has not the right
// or the state does not let it make sense.
function Buttons({ scene }: { scene: Scene }) {
  const { namespace, name } = scene.view;
  const { value: access } = useAnswer(() => api.access(namespace), [namespace]);
  const [asked, setAsked] = useState<Choice | null>(null);
  const [said, setSaid] = useState<{ text: string; bad: boolean } | null>(null);
  const may = access?.rights?.['steer'] ?? false;
  const act = async (choice: Choice) => {
    setAsked(null);
    const full = choice.verb === 'promoteFull';
    try {
      const result = await api.steer(namespace, name, full ? 'promote' : choice.verb, {
        uid: scene.uid,
        updateRevision: scene.view.update.name ?? '',
        full,
        revision: choice.verb === 'undo' ? (choice.revision ?? 0) : 0,
      });
      setSaid({ text: [result.message, ...(result.warnings ?? [])].join('. '), bad: false });
    } catch (err) {
      if (err instanceof Failure) setSaid({ text: err.message, bad: true });
    }
  };
  const choices = (scene.choices ?? []).flatMap((c) => (c.verb === 'promote' ? [c, { ...c, verb: 'promoteFull', effect: t('effect.promoteFull') }] : [c]));
  return (
    <div class="steer">
      <div class="buttons" role="group" aria-label={t('steer')}>
        {choices.map((c) => {
          const off = !access ? t('loading') : !may ? t('off.right') : c.sensible ? '' : known('refusal', c.code ?? '', c.message ?? '');
          return (
            <button
              key={c.verb}
              type="button"
              aria-disabled={off !== ''}
              title={off || undefined}
              aria-describedby={off ? `off-${c.verb}` : undefined}
              onClick={() => {
                if (off) setSaid({ text: `${known('verb', c.verb, c.verb)}: ${off}`, bad: true });
                else if (asking.includes(c.verb)) setAsked(c);
                else void act(c);
              }}
            >
              {known('verb', c.verb, c.verb)}
              {off && (
                <span class="hidden" id={`off-${c.verb}`}>
                  {off}
                </span>
              )}
            </button>
          );
        })}
      </div>
      {access && !may && <p class="faint">{t('off.right')}</p>}
      <p class={said?.bad ? 'said bad' : 'said'} role="status">
        {said?.text}
      </p>
      {asked && (
        <Ask title={t('ask', { verb: known('verb', asked.verb, asked.verb), name })} yes={known('verb', asked.verb, asked.verb)} onYes={() => void act(asked)} onNo={() => setAsked(null)}>
          <p>{known('effect', asked.verb, '')}</p>
          {asked.effect && <p lang="en">{asked.effect}</p>}
        </Ask>
      )}
    </div>
  );
}

