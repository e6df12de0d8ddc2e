// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// The page: its frame, and which view an address shows.

import './style.css';

import { render } from 'preact';
import { useEffect } from 'preact/hooks';
import { api, Failure } from './api';
import { Link, Loading, Trouble } from './parts';
import { language, me, path, query, sessions, theme } from './state';
import { useAnswer } from './live';
import { DataSet } from './views/dataset';
import { Doctor } from './views/doctor';
import { Nodes } from './views/nodes';
import { Overview } from './views/overview';
import { Pod } from './views/pod';
import { SignIn } from './views/signin';
import { t } from './words';

// decode returns a part of an address, which any user may have written, as it is meant.
function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

// View shows what the address names.
function View() {
  const [, kind, namespace, name, tab] = path.value.split('/').map(decode);
  switch (kind) {
    case '':
      return <Overview />;
    case 'datasets':
      if (namespace && name) return <DataSet key={`${namespace}/${name}`} namespace={namespace} name={name} tab={tab || 'rollout'} />;
      break;
    case 'pods':
      if (namespace && name) return <Pod key={`${namespace}/${name}`} namespace={namespace} name={name} />;
      break;
    case 'nodes':
      return <Nodes />;
    case 'doctor':
      return <Doctor />;
  }
  return (
    <div class="empty">
      <h1>{t('notFound')}</h1>
      <Link to="/">{t('nav.overview')}</Link>
    </div>
  );
}

function Choices() {
  return (
    <div class="choices">
      <label>
        <span class="hidden">{t('language')}</span>
        <select value={language.value} onChange={(e) => (language.value = e.currentTarget.value)}>
          <option value="en" lang="en">
            English
          </option>
          <option value="zh" lang="zh-CN">
            中文
          </option>
        </select>
      </label>
      <label>
        <span class="hidden">{t('theme')}</span>
        <select value={theme.value} onChange={(e) => (theme.value = e.currentTarget.value)}>
          <option value="auto">{t('theme.auto')}</option>
          <option value="light">{t('theme.light')}</option>
          <option value="dark">{t('theme.dark')}</option>
        </select>
      </label>
    </div>
  );
}

function Bar() {
  const who = me.value;
  const here = path.value.split('/')[1] ?? '';
  const suffix = query.value.get('namespace') ? `?namespace=${encodeURIComponent(query.value.get('namespace') ?? '')}` : '';
  const entries: Array<[string, string, string]> = [
    ['', `/${suffix}`, t('nav.overview')],
    ['nodes', `/nodes${suffix}`, t('nav.nodes')],
    ['doctor', `/doctor${suffix}`, t('nav.doctor')],
  ];
  return (
    <header>
      <a class="skip" href="#main">
        {t('skip')}
      </a>
      <span class="brand">Kuda</span>
      {who && (
        <nav aria-label={t('nav')}>
          {entries.map(([id, to, title]) => (
            <Link key={id} to={to} aria-current={here === id || (id === '' && (here === 'datasets' || here === 'pods')) ? 'page' : undefined}>
              {title}
            </Link>
          ))}
        </nav>
      )}
      <Choices />
      {who && (
        <span class="who">
          <span title={who.cluster}>{who.user || who.cluster}</span>
          {who.mode === 'cluster' && (
            <button
              type="button"
              class="small"
              onClick={() => {
                void api.signOut().then(() => {
                  me.value = null;
                  sessions.value++;
                });
              }}
            >
              {t('signOut')}
            </button>
          )}
        </span>
      )}
    </header>
  );
}

// Start finds out who looks before anything is shown.
function Start() {
  const { value, failure, again } = useAnswer(begin, [sessions.value]);
  useEffect(() => {
    if (value) me.value = value;
  }, [value]);
  if (failure && failure.status === 401) return <SignIn again={again} />;
  if (failure) return <Trouble failure={failure} again={again} />;
  if (!value) return <Loading />;
  if (!value.installed) {
    return (
      <div class="empty">
        <h1>{t('notInstalled')}</h1>
        <p>{t('notInstalled.do')}</p>
        <p>
          <code>kubectl apply --server-side -f install/kuda.yaml</code>
        </p>
        <button type="button" onClick={again}>
          {t('tryAgain')}
        </button>
      </div>
    );
  }
  return <View />;
}

// begin changes the secret of the address for a cookie, once, and asks who one is.
async function begin() {
  const secret = new URLSearchParams(location.hash.slice(1)).get('s');
  if (secret) {
    history.replaceState(null, '', location.pathname + location.search);
    try {
      await api.signIn({ secret });
    } catch (err) {
      // A page that was loaded again has the cookie already.
      if (!(err instanceof Failure) || err.status !== 403) throw err;
    }
  }
  return api.me();
}

function App() {
  return (
    <>
      <Bar />
      <main id="main" tabIndex={-1}>
        <Start />
      </main>
    </>
  );
}


const root = document.getElementById('app');
if (root) render(<App />, root);
