// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// The words of the page, in two languages with the same keys.

import { language } from './state';
import en from './words/en.json';
import zh from './words/zh.json';

export type Key = keyof typeof en;

const catalogues: Record<string, Record<Key, string>> = { en, zh };

// t returns the words of a key, with values in the places of {names}.
export function t(key: Key, values: Record<string, string | number> = {}): string {
  const text = (catalogues[language.value] ?? en)[key];
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

// known returns the words of a key that is computed, or what stands in their place.
export function known(prefix: string, word: string, otherwise: string): string {
  const key = `${prefix}.${word}`;
  return key in en ? t(key as Key) : otherwise;
}
