// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Which tone a word of the API has.

import type { Tone } from './parts';

export function verdictTone(state: string): Tone {
  switch (state) {
    case 'Done':
      return 'good';
    case 'Failed':
    case 'Blocked':
      return 'bad';
    case 'Held':
      return 'warn';
    case 'Running':
      return 'info';
  }
  return 'plain';
}

export function podTone(state: string): Tone {
  switch (state) {
    case 'updated':
    case 'stable':
    case 'prefetched':
      return 'good';
    case 'failed':
      return 'bad';
    case 'connecting':
    case 'returning':
      return 'warn';
    case 'withdrawn':
      return 'plain';
  }
  return 'info';
}

export function outcomeTone(outcome: string | undefined): Tone {
  switch (outcome) {
    case 'Succeeded':
      return 'good';
    case 'Running':
      return 'info';
    case 'Superseded':
    case undefined:
      return 'plain';
  }
  return 'bad';
}

export function severityTone(severity: string): Tone {
  switch (severity) {
    case 'ok':
      return 'good';
    case 'warning':
      return 'warn';
    case 'problem':
      return 'bad';
  }
  return 'plain';
}

export function itemTone(phase: string | undefined): Tone {
  switch (phase) {
    case 'success':
      return 'good';
    case 'failed':
      return 'bad';
    case 'downloading':
      return 'info';
  }
  return 'plain';
}
