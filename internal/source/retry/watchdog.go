// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package retry

import (
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
	if stall == 0 {
		stall = 30 * time.Second
	}
	return &watching{next: next, stall: stall}
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
		ctx, dog := watch(ctx, s.stall, "listing "+path)
		defer dog.end()
		ctx = source.Observe(ctx, source.Observer{Alive: dog.sign})
		for entry, err := range s.next.List(ctx, path) {
			dog.rest()
			if err != nil {
				yield(source.Entry{}, dog.explain(err))
				return
			}
			if !yield(entry, nil) {
				return
			}
			dog.work()
		}
	}
}

// Open watches until the answer begins, and each read of it.
func (s *watching) Open(ctx context.Context, e source.Entry, offset, length int64) (io.ReadCloser, error) {
	ctx, dog := watch(ctx, s.stall, "reading "+e.Key)
	ctx = source.Observe(ctx, source.Observer{Alive: dog.sign})
	body, err := s.next.Open(ctx, e, offset, length)
	dog.rest()
	if err != nil {
		err = dog.explain(err)
		dog.end()
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
	b.dog.work()
	began := time.Now()
	n, err := b.body.Read(p)
	b.dog.rest()
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.dog.explain(err)
	}
	if err == nil {
		err = b.speed.add(n, time.Since(began))
	}
	return n, err
}

func (b *watchedBody) Close() error {
	err := b.body.Close()
	b.dog.end()
	return err
}

// watchdog cancels a context when the work it watches makes no progress. It
// watches from its start, and between work and rest.
type watchdog struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	stall  time.Duration

	// mu keeps a sign of life of one goroutine from starting the timer while
	// another one rests.
	mu    sync.Mutex
	timer *time.Timer
}

// watch returns a context that ends, with an error of the class ErrUnreachable
// as its cause, when nothing happens for the given time.
func watch(ctx context.Context, stall time.Duration, op string) (context.Context, *watchdog) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watchdog{ctx: ctx, cancel: cancel, stall: stall}
	w.timer = time.AfterFunc(stall, func() {
		cancel(&source.Error{Op: op, Class: source.ErrUnreachable, Err: fmt.Errorf("no byte came for %v", stall)})
	})
	return ctx, w
}

// work starts a span in which something must happen.
func (w *watchdog) work() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Reset(w.stall)
}

// sign is a sign of life within a span.
func (w *watchdog) sign() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer.Stop() {
		w.timer.Reset(w.stall)
	}
}

// rest ends the span.
func (w *watchdog) rest() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
}

// end stops watching and cancels the context.
func (w *watchdog) end() {
	w.rest()
	w.cancel(nil)
}

// explain returns the watchdog's error where err is a consequence of it.
func (w *watchdog) explain(err error) error {
	cause, ok := errors.AsType[*source.Error](context.Cause(w.ctx))
	if ok && !errors.Is(err, cause) {
		return cause
	}
	return err
}
