// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// What the page asks the server for.

import type { Access, DataSets, Diff, Event, Files, HistoryEntry, Me, Nodes, Pod, Problem, Report, Scene, SignIn, SteerRequest, SteerResult, Text, Why } from './api.gen';
import { sessions } from './state';

// Failure is an answer that is not the wanted one.
export class Failure extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

async function send<T>(method: string, path: string, body?: unknown): Promise<T> {
  const init: RequestInit = { method, credentials: 'same-origin' };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { 'Content-Type': 'application/json' };
  }
  let response: Response;
  try {
    response = await fetch(`/api/v1/${path}`, init);
  } catch {
    throw new Failure(0, 'NoServer', 'the server of the dashboard does not answer');
  }
  if (response.status === 401 && path !== 'me' && path !== 'session') sessions.value++;
  if (!response.ok) {
    const problem = (await response.json().catch(() => null)) as Problem | null;
    throw new Failure(response.status, problem?.code ?? 'Unknown', problem?.message ?? response.statusText);
  }
  return response.status === 204 ? (undefined as T) : ((await response.json()) as T);
}

const get = <T>(path: string) => send<T>('GET', path);
const part = encodeURIComponent;
const setPath = (namespace: string, name: string) => `datasets/${part(namespace)}/${part(name)}`;
const podPath = (namespace: string, name: string) => `pods/${part(namespace)}/${part(name)}`;

export const api = {
  me: () => get<Me>('me'),
  signIn: (brought: SignIn) => send<void>('POST', 'session', brought),
  signOut: () => send<void>('DELETE', 'session'),
  access: (namespace: string) => get<Access>(`access?namespace=${part(namespace)}`),
  dataSets: (namespace: string) => get<DataSets>(`datasets?namespace=${part(namespace)}`),
  scene: (namespace: string, name: string, query: URLSearchParams) => get<Scene>(`${setPath(namespace, name)}?${query}`),
  history: (namespace: string, name: string) => get<HistoryEntry[]>(`${setPath(namespace, name)}/history`),
  template: (namespace: string, name: string, n: number) => get<Text>(`${setPath(namespace, name)}/revisions/${n}`),
  diff: (namespace: string, name: string, query: URLSearchParams) => get<Diff>(`${setPath(namespace, name)}/diff?${query}`),
  events: (namespace: string, name: string) => get<Event[]>(`${setPath(namespace, name)}/events`),
  doctorOf: (namespace: string, name: string) => get<Report>(`${setPath(namespace, name)}/doctor`),
  yaml: (namespace: string, name: string) => get<Text>(`${setPath(namespace, name)}/yaml`),
  steer: (namespace: string, name: string, verb: string, wanted: SteerRequest) => send<SteerResult>('POST', `${setPath(namespace, name)}/${verb}`, wanted),
  pod: (namespace: string, name: string) => get<Pod>(podPath(namespace, name)),
  why: (namespace: string, name: string) => get<Why>(`${podPath(namespace, name)}/why`),
  files: (namespace: string, name: string) => get<Files>(`${podPath(namespace, name)}/files`),
  nodes: (namespace: string) => get<Nodes>(`nodes?namespace=${part(namespace)}`),
  doctor: (namespace: string) => get<Report>(`doctor?namespace=${part(namespace)}`),
};
