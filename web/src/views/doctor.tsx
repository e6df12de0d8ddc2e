// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// What the doctor finds of the installation.

import { useEffect } from 'preact/hooks';
import { api } from '../api';
import { useAnswer } from '../live';
import { Loading, Trouble } from '../parts';
import { query } from '../state';
import { t } from '../words';
import { Findings } from './health';

export function Doctor() {
  const namespace = query.value.get('namespace') ?? '';
  const { value, failure, again } = useAnswer(() => api.doctor(namespace), [namespace]);
  useEffect(() => {
    document.title = `${t('nav.doctor')} – Kuda`;
  });
  return (
    <>
      <div class="head">
        <h1>{t('nav.doctor')}</h1>
        <button type="button" onClick={again}>
          {t('lookAgain')}
        </button>
      </div>
      <p>{t('doctor.about')}</p>
      {failure && <Trouble failure={failure} again={again} />}
      {!value && !failure && <Loading />}
      {value && <Findings report={value} />}
    </>
  );
}
