// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// The small parts that views are made of.

import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { Failure } from './api';
import type { Progress } from './api.gen';
import { bytes, percent, seconds } from './format';
import { go } from './state';
import { known, t } from './words';

export type Tone = 'good' | 'warn' | 'bad' | 'info' | 'plain';

// A tone is never told by colour alone: each has a sign of its own.
const signs: Record<Tone, string> = { good: '✓', warn: '!', bad: '✕', info: '●', plain: '–' };

export function Badge({ tone, children }: { tone: Tone; children: ComponentChildren }) {
  return (
    <span class={`badge ${tone}`}>
      <span aria-hidden="true">{signs[tone]}</span> {children}
    </span>
  );
}

// Link goes to another view without loading the page again.
export function Link({ to, children, ...rest }: { to: string; children: ComponentChildren; class?: string; 'aria-current'?: 'page' | undefined }) {
  return (
    <a
      {...rest}
      href={to}
      onClick={(e) => {
        if (e.metaKey || e.ctrlKey || e.shiftKey || e.button !== 0) return;
        e.preventDefault();
        go(to);
      }}
    >
      {children}
    </a>
  );
}

export function Meter({ value, of, label, tone = 'info' }: { value: number; of: number; label: string; tone?: Tone }) {
  const share = percent(value, of);
  return (
    <svg class={`meter ${tone}`} viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label={label}>
      <rect class="track" width="100" height="8" rx="2" />
      <rect class="fill" width={share} height="8" rx="2" />
    </svg>
  );
}

export function Transfer({ progress }: { progress: Progress | undefined }) {
  if (!progress || progress.total <= 0) return <span class="faint">–</span>;
  const text = `${bytes(progress.bytes)} / ${bytes(progress.total)}`;
  return (
    <span class="transfer">
      <Meter value={progress.bytes} of={progress.total} label={text} />
      <span>
        {text}
        {progress.rate ? `, ${bytes(progress.rate)}/s` : ''}
        {progress.secondsLeft ? `, ${t('left', { time: seconds(progress.secondsLeft) })}` : ''}
      </span>
    </span>
  );
}

// Scroll is a box that scrolls sideways by itself, also by keyboard.
export function Scroll({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    <div class="scroll" role="region" aria-label={label} tabIndex={0}>
      {children}
    </div>
  );
}

export function Loading() {
  return (
    <p class="loading" role="status">
      {t('loading')}
    </p>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="strong">{title}</p>
      {children}
    </div>
  );
}

// Trouble shows a failure: what it is, and what to do.
export function Trouble({ failure, again }: { failure: Failure; again?: () => void }) {
  return (
    <div class="notice bad" role="alert">
      <p class="strong">{known('problem', failure.code, t('problem.other'))}</p>
      <p lang="en">{failure.message}</p>
      {again && (
        <button type="button" onClick={again}>
          {t('tryAgain')}
        </button>
      )}
    </div>
  );
}

// Command is a line to copy.
export function Command({ text }: { text: string }) {
  const [copied, setCopied] = useState(false);
  if (!text.startsWith('kubectl ')) return <p lang="en">{text}</p>;
  return (
    <p class="command">
      <code lang="en">{text}</code>
      <button
        type="button"
        class="small"
        onClick={() => {
          void navigator.clipboard?.writeText(text).then(() => setCopied(true));
        }}
      >
        {copied ? t('copied') : t('copy')}
      </button>
    </p>
  );
}

// Ask is a dialog that has to be agreed to.
export function Ask({ title, yes, onYes, onNo, children }: { title: string; yes: string; onYes: () => void; onNo: () => void; children: ComponentChildren }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog ref={dialog} aria-labelledby="ask-title" onClose={onNo}>
      <h2 id="ask-title">{title}</h2>
      {children}
      <div class="buttons">
        <button type="button" class="primary" onClick={onYes}>
          {yes}
        </button>
        <button type="button" onClick={onNo}>
          {t('cancel')}
        </button>
      </div>
    </dialog>
  );
}

// Tabs are links to the parts of a thing.
export function Tabs({ label, tabs, current }: { label: string; tabs: Array<{ id: string; title: string; to: string }>; current: string }) {
  return (
    <nav class="tabs" aria-label={label}>
      {tabs.map((tab) => (
        <Link key={tab.id} to={tab.to} aria-current={tab.id === current ? 'page' : undefined}>
          {tab.title}
        </Link>
      ))}
    </nav>
  );
}
