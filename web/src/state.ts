// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// What all views share: where the page is, who looks, words and theme.

import { computed, effect, signal } from '@preact/signals';
import type { Me } from './api.gen';

export const path = signal(location.pathname);
export const query = signal(new URLSearchParams(location.search));
export const me = signal<Me | null>(null);

// sessions counts how often a session ended: who looks is asked again then.
export const sessions = signal(0);

// go shows another view.
export function go(to: string, replace = false): void {
  history[replace ? 'replaceState' : 'pushState'](null, '', to);
  const url = new URL(to, location.href);
  const moved = url.pathname !== path.value;
  path.value = url.pathname;
  query.value = url.searchParams;
  if (moved) {
    scrollTo(0, 0);
    document.getElementById('main')?.focus({ preventScroll: true });
  }
}

addEventListener('popstate', () => {
  path.value = location.pathname;
  query.value = new URLSearchParams(location.search);
});

// setQuery changes parameters of the address, so that a view can be linked to.
export function setQuery(change: Record<string, string>): void {
  const next = new URLSearchParams(query.value);
  for (const [name, value] of Object.entries(change)) {
    if (value === '') next.delete(name);
    else next.set(name, value);
  }
  const text = next.toString();
  go(path.value + (text ? `?${text}` : ''), true);
}

// kept is a choice that the browser remembers.
function kept(name: string, first: string) {
  let start = first;
  try {
    start = localStorage.getItem(name) ?? first;
  } catch {
    // A browser that keeps nothing shows the default.
  }
  const value = signal(start);
  effect(() => {
    try {
      localStorage.setItem(name, value.value);
    } catch {
      // As above.
    }
  });
  return value;
}

export const language = kept('kuda-language', navigator.language.startsWith('zh') ? 'zh' : 'en');
export const theme = kept('kuda-theme', 'auto');
export const namespace = computed(() => query.value.get('namespace') ?? '');

effect(() => {
  document.documentElement.lang = language.value === 'zh' ? 'zh-CN' : 'en';
});
effect(() => {
  document.documentElement.dataset['theme'] = theme.value;
});
