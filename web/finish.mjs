// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Finishes a build: the licences of what is linked lie beside the page, and what the browser
// loads is no more than the budget.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const budget = 100 * 1024;
const allowed = ['MIT', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC'];
const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, '../internal/dashboard/page/dist');

const lock = JSON.parse(readFileSync(join(here, 'package-lock.json'), 'utf8'));
let notices = '';
for (const [path, entry] of Object.entries(lock.packages)) {
  if (path === '' || entry.dev) continue;
  if (!allowed.includes(entry.license)) throw new Error(`${path}: its licence ${entry.license} is not on the list`);
  const dir = join(here, path);
  const file = readdirSync(dir).find((name) => /^licen[cs]e/i.test(name));
  if (!file) throw new Error(`${path} brings no text of its licence`);
  notices += `${path.replace('node_modules/', '')} ${entry.version} (${entry.license})\n\n${readFileSync(join(dir, file), 'utf8')}\n\n`;
}
writeFileSync(join(dist, 'licenses.txt'), notices);

let total = 0;
for (const name of readdirSync(dist, { recursive: true })) {
  const path = join(dist, String(name));
  if (!statSync(path).isFile() || String(name).startsWith('.') || name === 'licenses.txt') continue;
  total += gzipSync(readFileSync(path)).length;
}
console.log(`the page has ${(total / 1024).toFixed(1)} KiB, compressed`);
if (total > budget) throw new Error(`that is more than ${budget / 1024} KiB`);
