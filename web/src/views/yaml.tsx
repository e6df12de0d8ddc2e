// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// The DataSet as it is stored, to read.

import { api } from '../api';
import { useAnswer } from '../live';
import { Loading, Trouble } from '../parts';
import { t } from '../words';

export function Yaml({ namespace, name }: { namespace: string; name: string }) {
  const { value, failure, again } = useAnswer(() => api.yaml(namespace, name), [namespace, name]);
  if (failure) return <Trouble failure={failure} again={again} />;
  if (!value) return <Loading />;
  return (
    <>
      <button type="button" onClick={() => void navigator.clipboard?.writeText(value.yaml)}>
        {t('copy')}
      </button>
      <pre class="yaml" tabIndex={0} lang="en" role="region" aria-label="YAML">
        <code>{value.yaml}</code>
      </pre>
    </>
  );
}
