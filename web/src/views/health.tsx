// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// What is well with a DataSet and what is not: its conditions, and what the doctor finds.

import { api } from '../api';
import type { Condition, Finding, Report, Scene } from '../api.gen';
import { clock } from '../format';
import { useAnswer } from '../live';
import { Badge, Command, Loading, Scroll, Trouble, type Tone } from '../parts';
import { severityTone } from '../tones';
import { known, t } from '../words';

// Conditions that are good when they are False.
const reversed = ['Stalled', 'SourceDrifted', 'RolledBack', 'Reconciling'];

export function Health({ scene }: { scene: Scene }) {
  const { namespace, name } = scene.view;
  const { value, failure, again } = useAnswer(() => api.doctorOf(namespace, name), [namespace, name]);
  return (
    <>
      <h2>{t('conditions')}</h2>
      <Scroll label={t('conditions')}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t('condition')}</th>
              <th scope="col">{t('value')}</th>
              <th scope="col">{t('reason')}</th>
              <th scope="col">{t('message')}</th>
              <th scope="col">{t('since')}</th>
            </tr>
          </thead>
          <tbody>
            {(scene.conditions ?? []).map((c) => (
              <tr key={c.type}>
                <th scope="row">{known('condition', c.type, c.type)}</th>
                <td>
                  <Badge tone={conditionTone(c)}>{c.status}</Badge>
                </td>
                <td>{c.reason}</td>
                <td class="message" lang="en">
                  {c.message}
                </td>
                <td class="number">{clock(c.lastTransitionTime)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      <div class="head">
        <h2>{t('findings')}</h2>
        <button type="button" onClick={again}>
          {t('lookAgain')}
        </button>
      </div>
      {failure && <Trouble failure={failure} again={again} />}
      {!value && !failure && <Loading />}
      {value && <Findings report={value} />}
    </>
  );
}

function conditionTone(c: Condition): Tone {
  if (c.status === 'Unknown') return 'plain';
  const wanted = reversed.includes(c.type) ? 'False' : 'True';
  if (c.status === wanted) return 'good';
  return c.type === 'Progressing' || c.type === 'Reconciling' || c.type === 'Ready' ? 'info' : 'bad';
}

const order = ['problem', 'warning', 'unknown', 'ok'];

// Findings lists what was looked at, what is wrong first.
export function Findings({ report }: { report: Report }) {
  const list = gather(report.findings ?? []).sort((a, b) => order.indexOf(a[0].severity) - order.indexOf(b[0].severity));
  return (
    <>
      <p role="status">
        {t('findings.count', { problems: report.summary.problems, warnings: report.summary.warnings, ok: report.summary.ok, unknown: report.summary.unknown })}
      </p>
      <ul class="findings">
        {list.map((same) => (
          <li key={same[0].check + same[0].what + nameOf(same[0])}>
            <Line same={same} />
          </li>
        ))}
      </ul>
    </>
  );
}

type Same = [Finding, ...Finding[]];

// gather puts findings together that say the same of several objects of a kind.
function gather(findings: Finding[]): Same[] {
  const found = new Map<string, Same>();
  for (const f of findings) {
    const key = JSON.stringify([f.severity, f.check, f.object?.kind, f.what, f.why]);
    const same = found.get(key);
    if (same) same.push(f);
    else found.set(key, [f]);
  }
  return [...found.values()];
}

function nameOf(f: Finding): string {
  return f.object ? `${f.object.kind} ${f.object.namespace ? `${f.object.namespace}/` : ''}${f.object.name}` : '';
}

function Line({ same }: { same: Same }) {
  const f = same[0];
  const object = nameOf(f) + (same.length > 1 ? `, … (${same.length})` : '');
  const head = (
    <>
      <Badge tone={severityTone(f.severity)}>{known('severity', f.severity, f.severity)}</Badge>{' '}
      <span lang="en">
        {object && <strong>{object}: </strong>}
        {f.what}
      </span>
    </>
  );
  if (!f.why && !f.do && same.length === 1) return <p class="finding">{head}</p>;
  return (
    <details class="finding" open={f.severity === 'problem'}>
      <summary>{head}</summary>
      {same.length > 1 && <p lang="en">{same.map(nameOf).join(', ')}</p>}
      {f.why && <p lang="en">{f.why}</p>}
      {(f.do ?? []).map((line) => (
        <Command key={line} text={line} />
      ))}
    </details>
  );
}
