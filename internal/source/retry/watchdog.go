// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package retry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kuda-io/kuda/internal/source"
)

// watchdog cancels a context when the work it watches makes no progress. It
// watches from its start, and between work and rest.
type watchdog struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	stall  time.Duration
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
func (w *watchdog) work() { w.timer.Reset(w.stall) }

// rest ends the span.
func (w *watchdog) rest() { w.timer.Stop() }

// end stops watching and cancels the context.
func (w *watchdog) end() {
	w.timer.Stop()
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
