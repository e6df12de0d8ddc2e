// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Keeps the scene of a DataSet as it is, by server-sent events while the page is seen.

import { useEffect, useRef, useState } from 'preact/hooks';
import { api, Failure } from './api';
import type { Problem, Scene } from './api.gen';

// The stream is given up for polling after so many failures in a row.
const patience = 3;
const pollEvery = 5000;
const retryAfter = 1500;

export interface Live {
  scene: Scene | null;
  // failure is what ended it, or keeps it from being up to date.
  failure: Failure | null;
}

// useScene follows a DataSet; query chooses the window of its pods.
export function useScene(namespace: string, name: string, query: string): Live {
  const [live, setLive] = useState<Live>({ scene: null, failure: null });
  const key = useRef('');
  useEffect(() => {
    if (key.current !== `${namespace}/${name}`) {
      key.current = `${namespace}/${name}`;
      setLive({ scene: null, failure: null });
    }
    return follow(namespace, name, query, setLive);
  }, [namespace, name, query]);
  return live;
}

function follow(namespace: string, name: string, query: string, set: (change: (before: Live) => Live) => void): () => void {
  let source: EventSource | null = null;
  let timer = 0;
  let failures = 0;
  let over = false;
  const parameters = new URLSearchParams(query);
  const show = (scene: Scene) => {
    failures = 0;
    set(() => ({ scene, failure: null }));
  };
  const fail = (failure: Failure) => set((before) => ({ ...before, failure }));

  const poll = async () => {
    try {
      show(await api.scene(namespace, name, parameters));
    } catch (err) {
      if (err instanceof Failure) {
        fail(err);
        if (err.status === 404 || err.status === 401 || err.status === 403) over = true;
      }
    }
    if (!over) timer = window.setTimeout(begin, pollEvery);
  };
  const open = () => {
    const address = new URLSearchParams(parameters);
    address.set('namespace', namespace);
    address.set('name', name);
    source = new EventSource(`/api/v1/watch?${address}`);
    source.addEventListener('scene', (e) => show(JSON.parse((e as MessageEvent<string>).data) as Scene));
    source.addEventListener('again', () => {
      stop();
      begin();
    });
    source.addEventListener('end', (e) => {
      const problem = JSON.parse((e as MessageEvent<string>).data) as Problem;
      stop();
      over = problem.code === 'NotFound';
      fail(new Failure(over ? 404 : 0, problem.code, problem.message));
      // What is not gone may come back; asking tells what is to be done until then.
      failures = patience;
      if (!over) timer = window.setTimeout(begin, pollEvery);
    });
    source.onerror = () => {
      // An event source does not say what was wrong; asking once does.
      stop();
      failures++;
      if (failures === 1) void poll();
      else timer = window.setTimeout(failures >= patience ? poll : begin, retryAfter);
    };
  };
  const stop = () => {
    source?.close();
    source = null;
    clearTimeout(timer);
  };
  const begin = () => {
    stop();
    if (over || document.hidden) return;
    if (failures >= patience) void poll();
    else open();
  };
  const onVisibility = () => {
    if (document.hidden) stop();
    else begin();
  };
  document.addEventListener('visibilitychange', onVisibility);
  begin();
  return () => {
    over = true;
    stop();
    document.removeEventListener('visibilitychange', onVisibility);
  };
}

// useAnswer asks once, again when the dependencies change, and every so often where wanted.
export function useAnswer<T>(ask: () => Promise<T>, dependencies: unknown[], every = 0): { value: T | null; failure: Failure | null; again: () => void } {
  const [state, setState] = useState<{ value: T | null; failure: Failure | null }>({ value: null, failure: null });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let current = true;
    let timer = 0;
    const run = async () => {
      if (!document.hidden) {
        try {
          const value = await ask();
          if (current) setState({ value, failure: null });
        } catch (err) {
          if (current && err instanceof Failure) setState((before) => ({ value: before.value, failure: err }));
        }
      }
      if (current && every > 0) timer = window.setTimeout(run, every);
    };
    void run();
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [...dependencies, turn]);
  return { ...state, again: () => setTurn((n) => n + 1) };
}
