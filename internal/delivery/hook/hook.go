// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/kuda-io/kuda/internal/backoff"
)

var (
	// ErrPending says that the action cannot run yet, for no fault of its own. It is
	// tried again for as long as that takes.
	ErrPending = errors.New("the hook cannot run yet")
	// ErrNotListening says that no process listens on the hook's port. It is ErrPending
	// for as long as Policy.StartGrace, then a failure.
	ErrNotListening = errors.New("nothing listens on the hook's port")
)

// Action is what a hook does.
type Action interface {
	// Run runs it once. Output is what it said, for people; an error that
	// matches ErrPending or ErrNotListening means that it has not run.
	Run(ctx context.Context) (output string, err error)
}

// ActionFunc is an Action that is a function.
type ActionFunc func(ctx context.Context) (output string, err error)

// Run calls f.
func (f ActionFunc) Run(ctx context.Context) (string, error) { return f(ctx) }

// Step is one hook of a run.
type Step struct {
	// ID names the hook across restarts.
	ID string
	// Mark names what it is to be told of. A step whose mark is in the journal is done.
	Mark   string
	Action Action
}

// Journal remembers which hooks were done.
type Journal interface {
	// Done reports whether the hook was done for the mark.
	Done(id, mark string) bool
	// Record remembers it, on disk, before it returns.
	Record(id, mark string) error
}

// Policy says how patient a run is. Zero fields have the defaults named.
type Policy struct {
	// Timeout of one try. Default: 75 seconds, more than the gateway gives a command.
	Timeout time.Duration
	// Attempts before a hook has failed. Default: 5.
	Attempts int
	// Backoff before the second try; it doubles up to MaxBackoff. Default: 1 s, 30 s.
	Backoff, MaxBackoff time.Duration
	// PendingBackoff between tries of what cannot run yet; it doubles up to
	// PendingMax. Default: 250 ms, 5 s.
	PendingBackoff, PendingMax time.Duration
	// StartGrace is how long a port may have no listener. Default: 10 minutes.
	StartGrace time.Duration
}

func (p Policy) withDefaults() Policy {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&p.Timeout, 75 * time.Second},
		{&p.Backoff, time.Second},
		{&p.MaxBackoff, 30 * time.Second},
		{&p.PendingBackoff, 250 * time.Millisecond},
		{&p.PendingMax, 5 * time.Second},
		{&p.StartGrace, 10 * time.Minute},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if p.Attempts == 0 {
		p.Attempts = 5
	}
	return p
}

// FailedError says that a hook failed as often as it was tried.
type FailedError struct {
	// ID of the step.
	ID       string
	Attempts int
	// Output of the last try.
	Output string
	Err    error
}

func (e *FailedError) Error() string {
	s := fmt.Sprintf("failed %d times: %v", e.Attempts, e.Err)
	if e.Attempts == 1 {
		s = e.Err.Error()
	}
	if e.Output != "" {
		s += "; its output ends: " + e.Output
	}
	return s
}

func (e *FailedError) Unwrap() error { return e.Err }

// Observer is told what a run waits for; nil is allowed.
type Observer func(id string, err error)

// Run runs the steps that the journal does not know as done, one after the
// other, each only when those before it are done.
func Run(ctx context.Context, policy Policy, j Journal, steps []Step, waiting Observer) error {
	policy = policy.withDefaults()
	for _, s := range steps {
		if j.Done(s.ID, s.Mark) {
			continue
		}
		if err := runStep(ctx, policy, s, waiting); err != nil {
			return err
		}
		if err := j.Record(s.ID, s.Mark); err != nil {
			return fmt.Errorf("recording hook %s: %w", s.ID, err)
		}
	}
	return nil
}

func runStep(ctx context.Context, p Policy, s Step, waiting Observer) error {
	failures, pauses, pending := 0, 0, time.Duration(0)
	for {
		output, err := runAction(ctx, p.Timeout, s.Action)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if waiting != nil {
			waiting(s.ID, err)
		}
		if errors.Is(err, ErrPending) || errors.Is(err, ErrNotListening) && pending < p.StartGrace {
			pause := backoff.Doubled(p.PendingBackoff, p.PendingMax, pauses)
			if err := backoff.Sleep(ctx, pause); err != nil {
				return err
			}
			pending += pause
			pauses++
			continue
		}
		failures++
		if failures >= p.Attempts {
			return &FailedError{ID: s.ID, Attempts: failures, Output: output, Err: err}
		}
		// Half of the pause is random, so that pods do not call together.
		pause := backoff.Doubled(p.Backoff, p.MaxBackoff, failures-1)
		if err := backoff.Sleep(ctx, pause/2+rand.N(pause/2+1)); err != nil {
			return err
		}
	}
}

func runAction(ctx context.Context, timeout time.Duration, a Action) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %s", timeout))
	defer cancel()
	output, err := a.Run(ctx)
	if err != nil && ctx.Err() != nil && !errors.Is(err, ErrPending) {
		err = context.Cause(ctx)
	}
	return output, err
}
