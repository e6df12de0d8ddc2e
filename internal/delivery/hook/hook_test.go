// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hook_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/internal/delivery/hook"
)

type journal map[string]string

func (j journal) Done(id, mark string) bool    { return j[id] == mark }
func (j journal) Record(id, mark string) error { j[id] = mark; return nil }
func fails(err error, out string) hook.ActionFunc {
	return func(context.Context) (string, error) { return out, err }
}

// script replies with one error after the other, then succeeds.
func script(calls *[]string, id string, errs ...error) hook.Step {
	n := 0
	return hook.Step{ID: id, Mark: "m", Action: hook.ActionFunc(func(context.Context) (string, error) {
		*calls = append(*calls, id)
		n++
		if n <= len(errs) {
			return "", errs[n-1]
		}
		return "", nil
	})}
}

func TestHooksRunInOrderAndOnlyWhenNotDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls []string
		j := journal{"b": "m", "c": "older"}
		steps := []hook.Step{script(&calls, "a", errors.New("x")), script(&calls, "b"), script(&calls, "c")}
		if err := hook.Run(t.Context(), hook.Policy{}, j, steps, nil); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]string{"a", "a", "c"}, calls); d != "" {
			t.Errorf("calls (-want +got):\n%s", d)
		}
		if d := cmp.Diff(journal{"a": "m", "b": "m", "c": "m"}, j); d != "" {
			t.Errorf("journal (-want +got):\n%s", d)
		}
	})
}

func TestFailingHookEndsAfterItsAttemptsAndHoldsThoseAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls []string
		j := journal{}
		start := time.Now()
		err := hook.Run(t.Context(), hook.Policy{}, j, []hook.Step{
			{ID: "a", Mark: "m", Action: fails(errors.New("exit status 3"), "no such model")},
			script(&calls, "b"),
		}, nil)
		failed := (*hook.FailedError)(nil)
		if !errors.As(err, &failed) || failed.ID != "a" || failed.Attempts != 5 {
			t.Fatalf("got %v", err)
		}
		if !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no such model") {
			t.Errorf("the message does not say why: %s", err)
		}
		if len(calls) > 0 || len(j) > 0 {
			t.Errorf("went on after a failure: %v, %v", calls, j)
		}
		if took := time.Since(start); took < 7*time.Second || took > 15*time.Second {
			t.Errorf("five attempts took %s, want 1+2+4+8 s less jitter", took)
		}
	})
}

func TestContainerThatDoesNotRunYetIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls []string
		pending := make([]error, 500)
		for i := range pending {
			pending[i] = fmt.Errorf("asking: %w", hook.ErrPending)
		}
		waited := 0
		err := hook.Run(t.Context(), hook.Policy{}, journal{}, []hook.Step{script(&calls, "a", pending...)},
			func(string, error) { waited++ })
		if err != nil || waited != 500 {
			t.Errorf("got %v after waiting %d times", err, waited)
		}
	})
}

func TestPortWithoutListenerFailsAfterItsGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		err := hook.Run(t.Context(), hook.Policy{StartGrace: time.Minute}, journal{},
			[]hook.Step{{ID: "a", Mark: "m", Action: fails(hook.ErrNotListening, "")}}, nil)
		if f := (*hook.FailedError)(nil); !errors.As(err, &f) {
			t.Fatalf("got %v", err)
		}
		if took := time.Since(start); took < time.Minute || took > 2*time.Minute {
			t.Errorf("gave up after %s", took)
		}
	})
}

func TestHangingHookTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := hook.ActionFunc(func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() })
		err := hook.Run(t.Context(), hook.Policy{Attempts: 1}, journal{}, []hook.Step{{ID: "a", Mark: "m", Action: hang}}, nil)
		if err == nil || !strings.Contains(err.Error(), "no answer within 1m15s") {
			t.Errorf("got %v", err)
		}
	})
}

func TestCancelledRunReturnsTheCauseAndRecordsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		newer := errors.New("a newer revision is wanted")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(3*time.Second, func() { cancel(newer) })
		j := journal{}
		err := hook.Run(ctx, hook.Policy{}, j, []hook.Step{{ID: "a", Mark: "m", Action: fails(hook.ErrPending, "")}}, nil)
		if !errors.Is(err, newer) || len(j) > 0 {
			t.Errorf("got %v, journal %v", err, j)
		}
	})
}
