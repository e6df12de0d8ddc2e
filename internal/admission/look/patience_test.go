// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package look

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestFewCallersWaitLongAndTheOthersBriefly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const brief = 500 * time.Millisecond
		patience := &Patience{OfKey: 2, OfAll: 3}
		done := make(chan struct{})
		var served, impatient atomic.Int32
		var group sync.WaitGroup
		call := func(key string) {
			group.Go(func() {
				started := time.Now()
				switch err := patience.Wait(t.Context(), key, brief, done); {
				case err == nil:
					served.Add(1)
				case errors.Is(err, ErrImpatient) && time.Since(started) == brief:
					impatient.Add(1)
				default:
					t.Errorf("got %v after %s", err, time.Since(started))
				}
			})
		}
		for range 10 {
			call("shop")
		}
		time.Sleep(brief + time.Millisecond)
		if impatient.Load() != 8 {
			t.Errorf("%d of a key went", impatient.Load())
		}
		for range 10 {
			call("bank")
		}
		time.Sleep(brief + time.Millisecond)
		close(done)
		group.Wait()
		if served.Load() != 3 || impatient.Load() != 17 {
			t.Errorf("%d waited, %d did not", served.Load(), impatient.Load())
		}
		if patience.all != 0 || len(patience.byKey) != 0 {
			t.Errorf("kept %d, %v", patience.all, patience.byKey)
		}
	})
}

func TestAQuickAnswerNeedsNoPatience(t *testing.T) {
	done := make(chan struct{})
	close(done)
	if err := (&Patience{OfKey: 1, OfAll: 1}).Wait(t.Context(), "shop", time.Hour, done); err != nil {
		t.Error(err)
	}
}

func TestAWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, brief := range []time.Duration{time.Second, time.Hour} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			err := (&Patience{OfKey: 1, OfAll: 1}).Wait(ctx, "shop", brief, nil)
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		}
	})
}

func TestKeysThatWaitMuchGiveWayToAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const brief = 500 * time.Millisecond
		patience := &Patience{OfKey: 2, OfAll: 4}
		done := make(chan struct{})
		var group sync.WaitGroup
		var displaced atomic.Int32
		call := func(key string, count func(error)) {
			group.Go(func() { count(patience.Wait(t.Context(), key, brief, done)) })
		}
		for _, key := range []string{"slow", "slow", "slower", "slower"} {
			call(key, func(err error) {
				if errors.Is(err, ErrImpatient) {
					displaced.Add(1)
				}
			})
		}
		time.Sleep(brief + time.Millisecond)
		call("shop", func(err error) {
			if err != nil {
				t.Errorf("two namespaces took all places: %v", err)
			}
		})
		time.Sleep(brief + time.Millisecond)
		if displaced.Load() != 1 {
			t.Errorf("%d gave way", displaced.Load())
		}
		close(done)
		group.Wait()
		if patience.all != 0 || len(patience.byKey) != 0 {
			t.Errorf("kept %d, %v", patience.all, patience.byKey)
		}
	})
}
