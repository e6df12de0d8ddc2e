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

func TestABurstMakesTwoCallsAndNoResultIsOlderThanItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group[time.Time]
		var asked atomic.Int32
		ask := func(context.Context) (time.Time, error) {
			asked.Add(1)
			put := time.Now()
			time.Sleep(10 * time.Millisecond)
			return put, nil
		}
		var group sync.WaitGroup
		for n := range 100 {
			group.Go(func() {
				time.Sleep(time.Duration(n) * 90 * time.Microsecond)
				called := time.Now()
				put, err := g.Do(t.Context(), "shop", time.Second, ask)
				if err != nil || put.Before(called) {
					t.Errorf("request %d of %s got an answer of %s, %v", n, called, put, err)
				}
			})
		}
		group.Wait()
		if n := asked.Load(); n != 2 {
			t.Errorf("asked %d times", n)
		}
		if _, err := g.Do(t.Context(), "shop", time.Second, ask); err != nil || asked.Load() != 3 {
			t.Errorf("a later request is answered from before: %v", err)
		}
		if len(g.next)+len(g.running) != 0 {
			t.Errorf("kept %d and %d questions", len(g.next), len(g.running))
		}
	})
}

func TestKeysDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group[int]
		var slow sync.WaitGroup
		defer slow.Wait()
		slow.Go(func() {
			_, _ = g.Do(t.Context(), "slow", time.Hour, func(context.Context) (int, error) {
				time.Sleep(time.Minute)
				return 0, nil
			})
		})
		synctest.Wait()
		started := time.Now()
		if _, err := g.Do(t.Context(), "shop", time.Second, func(context.Context) (int, error) { return 1, nil }); err != nil ||
			time.Since(started) != 0 {
			t.Errorf("waited %s, %v", time.Since(started), err)
		}
	})
}

func TestTheTimeLimitEndsTheWaitAndTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group[int]
		hang := func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		}
		for range 3 {
			started := time.Now()
			if _, err := g.Do(t.Context(), "shop", time.Second, hang); !errors.Is(err, context.DeadlineExceeded) ||
				time.Since(started) != time.Second {
				t.Errorf("after %s: %v", time.Since(started), err)
			}
		}
		synctest.Wait()
		if got, err := g.Do(t.Context(), "shop", time.Second, func(context.Context) (int, error) { return 7, nil }); got != 7 || err != nil {
			t.Errorf("got %d, %v after questions without an answer", got, err)
		}
	})
}

func TestOtherCallersGetTheResultWhenOneCancels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group[int]
		leaving, leave := context.WithCancel(t.Context())
		ask := func(ctx context.Context) (int, error) {
			select {
			case <-time.After(100 * time.Millisecond):
				return 7, nil
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
		go func() {
			if _, err := g.Do(leaving, "shop", time.Second, ask); !errors.Is(err, context.Canceled) {
				t.Errorf("left with %v", err)
			}
		}()
		time.Sleep(50 * time.Millisecond)
		leave()
		if got, err := g.Do(t.Context(), "shop", time.Second, ask); got != 7 || err != nil {
			t.Errorf("got %d, %v", got, err)
		}
	})
}
