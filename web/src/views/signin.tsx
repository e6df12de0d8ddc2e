// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// The view for those who have not signed in.

import { useState } from 'preact/hooks';
import { api, Failure } from '../api';
import { Command, Trouble } from '../parts';
import { t } from '../words';

export function SignIn({ again }: { again: () => void }) {
  const [token, setToken] = useState('');
  const [failure, setFailure] = useState<Failure | null>(null);
  const local = location.protocol === 'http:';
  const submit = async (e: Event) => {
    e.preventDefault();
    try {
      await api.signIn({ token: token.trim() });
      setToken('');
      again();
    } catch (err) {
      if (err instanceof Failure) setFailure(err);
    }
  };
  return (
    <section class="card narrow">
      <h1>{t('signIn')}</h1>
      {local && (
        <>
          <p>{t('signIn.local')}</p>
          <Command text="kubectl kuda dashboard" />
        </>
      )}
      {!local && <p>{t('signIn.about')}</p>}
      {failure && <Trouble failure={failure} />}
      {!local && (
        <form onSubmit={submit}>
          <label>
            {t('signIn.token')}
            <input type="password" autocomplete="off" spellcheck={false} value={token} onInput={(e) => setToken(e.currentTarget.value)} required />
          </label>
          <button type="submit" class="primary">
            {t('signIn')}
          </button>
        </form>
      )}
      {!local && (
        <>
          <p>{t('signIn.how')}</p>
          <Command text="kubectl create token NAME -n NAMESPACE" />
        </>
      )}
    </section>
  );
}
