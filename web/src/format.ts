// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Numbers, sizes and times as people read them.

import { language } from './state';

const locale = () => (language.value === 'zh' ? 'zh-CN' : 'en');
const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

export function number(n: number): string {
  return new Intl.NumberFormat(locale()).format(n);
}

export function bytes(n: number): string {
  let i = 0;
  while (n >= 1024 && i < units.length - 1) {
    n /= 1024;
    i++;
  }
  return `${i === 0 ? n : n.toFixed(1)} ${units[i]}`;
}

export function percent(part: number, whole: number): number {
  return whole > 0 ? Math.min(100, Math.floor((part / whole) * 100)) : 0;
}

// seconds writes a length of time with its two largest units.
export function seconds(n: number): string {
  const s = Math.max(0, Math.round(n));
  const zh = language.value === 'zh';
  const parts: Array<[number, string]> = [
    [Math.floor(s / 86400), zh ? '天' : 'd'],
    [Math.floor(s / 3600) % 24, zh ? '小时' : 'h'],
    [Math.floor(s / 60) % 60, zh ? '分' : 'm'],
    [s % 60, zh ? '秒' : 's'],
  ];
  const first = parts.findIndex(([value]) => value > 0);
  if (first < 0) return zh ? '0 秒' : '0s';
  return parts
    .slice(first, first + 2)
    .filter(([value]) => value > 0)
    .map(([value, unit]) => (zh ? `${value} ${unit}` : `${value}${unit}`))
    .join(' ');
}

export function since(time: string | undefined, now = Date.now()): string {
  return time ? seconds((now - Date.parse(time)) / 1000) : '';
}

export function clock(time: string | undefined): string {
  if (!time) return '';
  return new Intl.DateTimeFormat(locale(), { dateStyle: 'medium', timeStyle: 'medium' }).format(new Date(time));
}
