// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// What Kubernetes keeps of what happened to a DataSet.

import { api } from '../api';
import { clock } from '../format';
import { useAnswer } from '../live';
import { Badge, Empty, Loading, Scroll, Trouble } from '../parts';
import { t } from '../words';

export function Events({ namespace, name }: { namespace: string; name: string }) {
  const { value, failure, again } = useAnswer(() => api.events(namespace, name), [namespace, name], 5000);
  if (failure && !value) return <Trouble failure={failure} again={again} />;
  if (!value) return <Loading />;
  if (value.length === 0) return <Empty title={t('events.none')} />;
  return (
    <Scroll label={t('tab.events')}>
      <table>
        <thead>
          <tr>
            <th scope="col">{t('time')}</th>
            <th scope="col">{t('reason')}</th>
            <th scope="col">{t('message')}</th>
            <th scope="col">{t('count')}</th>
          </tr>
        </thead>
        <tbody>
          {value.map((e, i) => (
            <tr key={i}>
              <td class="number">{clock(e.time)}</td>
              <td>
                <Badge tone={e.type === 'Warning' ? 'warn' : 'info'}>{e.reason}</Badge>
              </td>
              <td class="message" lang="en">
                {e.message}
              </td>
              <td>{e.count ?? 1}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}
