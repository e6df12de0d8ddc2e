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
                <td>{clock(c.lastTransitionTime)}</td>
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
  const list = [...(report.findings ?? [])].sort((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity));
  return (
    <>
      <p role="status">
        {t('findings.count', { problems: report.summary.problems, warnings: report.summary.warnings, ok: report.summary.ok, unknown: report.summary.unknown })}
      </p>
      <ul class="findings">
        {list.map((f, i) => (
          <li key={i}>
            <Line finding={f} />
          </li>
        ))}
      </ul>
    </>
  );
}

function Line({ finding: f }: { finding: Finding }) {
  const object = f.object ? `${f.object.kind} ${f.object.namespace ? `${f.object.namespace}/` : ''}${f.object.name}` : '';
  const head = (
    <>
      <Badge tone={severityTone(f.severity)}>{known('severity', f.severity, f.severity)}</Badge>{' '}
      <span lang="en">
        {object && <strong>{object}: </strong>}
        {f.what}
      </span>
    </>
  );
  if (!f.why && !f.do) return <p class="finding">{head}</p>;
  return (
    <details class="finding" open={f.severity === 'problem'}>
      <summary>{head}</summary>
      {f.why && <p lang="en">{f.why}</p>}
      {(f.do ?? []).map((line) => (
        <Command key={line} text={line} />
      ))}
    </details>
  );
}
