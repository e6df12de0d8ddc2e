// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package retry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"time"

	"github.com/kuda-io/kuda/internal/source"
)

// Watch returns a source whose calls fail with ErrUnreachable when no byte comes
// for the given time; 0 means 30 s. A page of a listing counts as one, whatever
// is on it. A body that brings less than leastBytes in leastTime, which is how
// long it is waited for, ends in the same way. It belongs directly around a driver: what
// else delays a call, such as a limit, is no stall.
func Watch(next source.Source, stall time.Duration) source.Source {
	return &watching{next: next, stall: cmp.Or(stall, defaultStall)}
}

// defaultStall is how long a storage system may be silent.
const defaultStall = 30 * time.Second

// Call makes a call of a driver that is none of a Source's, watched in the same way. op
// names it in the error.
func Call(ctx context.Context, stall time.Duration, op string, call func(ctx context.Context) error) error {
	ctx, dog := newWatchdog(ctx, cmp.Or(stall, defaultStall), op)
	defer dog.stopAndCancel()
	err := call(source.Observe(ctx, source.Observer{Alive: dog.resetTimer}))
	if err == nil {
		return nil
	}
	return dog.explainError(err)
}

type watching struct {
	next  source.Source
	stall time.Duration
}

func (s *watching) Identity() string { return s.next.Identity() }
func (s *watching) Close() error     { return s.next.Close() }

// List watches the time between two entries, but for what the consumer takes.
func (s *watching) List(ctx context.Context, path string) iter.Seq2[source.Entry, error] {
	return func(yield func(source.Entry, error) bool) {
		ctx, dog := newWatchdog(ctx, s.stall, "listing "+path)
		defer dog.stopAndCancel()
		ctx = source.Observe(ctx, source.Observer{Alive: dog.resetTimer})
		for entry, err := range s.next.List(ctx, path) {
			dog.stopTimer()
			if err != nil {
				yield(source.Entry{}, dog.explainError(err))
				return
			}
			if !yield(entry, nil) {
				return
			}
			dog.startTimer()
		}
	}
}

// Open watches until the answer begins, and each read of it.
func (s *watching) Open(ctx context.Context, e source.Entry, offset, length int64) (io.ReadCloser, error) {
	ctx, dog := newWatchdog(ctx, s.stall, "reading "+e.Key)
	ctx = source.Observe(ctx, source.Observer{Alive: dog.resetTimer})
	body, err := s.next.Open(ctx, e, offset, length)
	dog.stopTimer()
	if err != nil {
		err = dog.explainError(err)
		dog.stopAndCancel()
		return nil, err
	}
	return &watchedBody{body: body, dog: dog, speed: speed{op: "reading " + e.Key}}, nil
}

type watchedBody struct {
	body  io.ReadCloser
	dog   *watchdog
	speed speed
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.dog.startTimer()
	began := time.Now()
	n, err := b.body.Read(p)
	b.dog.stopTimer()
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.dog.explainError(err)
	}
	if err == nil {
		err = b.speed.addRead(n, time.Since(began))
	}
	return n, err
}

func (b *watchedBody) Close() error {
	err := b.body.Close()
	b.dog.stopAndCancel()
	return err
}

// watchdog cancels a context when the work it watches makes no progress. It
// watches from its start, and between startTimer and stopTimer.
type watchdog struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	stall  time.Duration

	// mu keeps a sign of life of one goroutine from starting the timer while
	// another one rests.
	mu    sync.Mutex
	timer *time.Timer
}

// newWatchdog returns a context that ends, with an error of the class ErrUnreachable
// as its cause, when nothing happens for the given time.
func newWatchdog(ctx context.Context, stall time.Duration, op string) (context.Context, *watchdog) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watchdog{ctx: ctx, cancel: cancel, stall: stall}
	w.timer = time.AfterFunc(stall, func() {
		cancel(&source.Error{Op: op, Class: source.ErrUnreachable, Err: fmt.Errorf("no byte came for %v", stall)})
	})
	return ctx, w
}

// startTimer starts a span in which something must happen.
func (w *watchdog) startTimer() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Reset(w.stall)
}

// resetTimer is a sign of life within a span.
func (w *watchdog) resetTimer() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer.Stop() {
		w.timer.Reset(w.stall)
	}
}

// stopTimer ends the span.
func (w *watchdog) stopTimer() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
}

// stopAndCancel stops watching and cancels the context.
func (w *watchdog) stopAndCancel() {
	w.stopTimer()
	w.cancel(nil)
}

// explainError returns the watchdog's error where err is a consequence of it.
func (w *watchdog) explainError(err error) error {
	cause, ok := errors.AsType[*source.Error](context.Cause(w.ctx))
	if ok && !errors.Is(err, cause) {
		return cause
	}
	return err
}
