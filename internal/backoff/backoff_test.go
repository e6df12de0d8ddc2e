// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package backoff

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

func TestAPauseDoublesUpToItsLimit(t *testing.T) {
	for times, want := range map[int]time.Duration{
		-1: time.Second, 0: time.Second, 1: 2 * time.Second, 4: 16 * time.Second, 5: 30 * time.Second, math.MaxInt: 30 * time.Second,
	} {
		if got := Doubled(time.Second, 30*time.Second, times); got != want {
			t.Errorf("doubled %d times: %s, want %s", times, got, want)
		}
	}
	if got := Doubled(time.Second, math.MaxInt64, 1000); got != math.MaxInt64 {
		t.Errorf("with no limit: %s", got)
	}
	if got := Doubled(time.Minute, time.Second, 0); got != time.Second {
		t.Errorf("a first pause above the limit: %s", got)
	}
	if got := Doubled(0, time.Second, math.MaxInt32); got != 0 {
		t.Errorf("no pause doubled: %s", got)
	}
}

func TestASleepEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if err := Sleep(t.Context(), time.Minute); err != nil || time.Since(start) != time.Minute {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		cause := errors.New("over")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(cause) })
		if err := Sleep(ctx, time.Hour); !errors.Is(err, cause) {
			t.Errorf("%v, want the cause", err)
		}
	})
}
