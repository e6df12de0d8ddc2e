// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package coalesce

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/utils/clock"

	"github.com/kuda-io/kuda/internal/gateway/share"
)

type words []string

// newQueue makes a queue whose keys' state is the words that wait; failed is the
// result of each write.
func newQueue(failed *error) (q *Queue[string, words], written *[]string) {
	written = new([]string)
	return New(Options[string, words]{
		Slots: share.New(share.Limits{Total: 1, PerPod: 1, PerNamespace: 1, Waiters: 16}),
		Owner: func(key string) share.Owner { return share.Owner{Namespace: key, Pod: key} },
		Clock: clock.RealClock{}, Rest: time.Minute,
		Take: func(key string, w *words) Write {
			all := slices.Clone(*w)
			*w = (*w)[:0]
			return Write{Run: func(context.Context) (bool, error) {
				*written = append(*written, all...)
				return true, *failed
			}}
		},
		Observe: func(string, bool, error) {},
	}), written
}

func submit(t *testing.T, q *Queue[string, words], word string, wait time.Duration, awaited bool) error {
	return q.Submit(t.Context(), "key", func(w *words, _ Times) (Order, bool) {
		*w = append(*w, word)
		return Order{Due: time.Now().Add(wait), Awaited: awaited}, true
	})
}

func TestWhatWaitsIsWrittenTogetherWithTheFirstThatIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failed error
		q, written := newQueue(&failed)
		start := time.Now()
		for i, wait := range []time.Duration{time.Hour, time.Second, time.Minute} {
			if err := submit(t, q, string(rune('a'+i)), wait, wait == time.Minute); err != nil {
				t.Error(err)
			}
		}
		if len(*written) != 3 || time.Since(start) != time.Second {
			t.Errorf("wrote %v after %s", *written, time.Since(start))
		}
		failed = errors.New("no")
		if err := submit(t, q, "d", 0, true); !errors.Is(err, failed) {
			t.Errorf("%v, want the write's error", err)
		}
		if err := submit(t, q, "e", time.Hour, false); err != nil {
			t.Error(err)
		}
		q.Close()
		if len(*written) != 5 {
			t.Errorf("closing wrote %v", *written)
		}
		if err := submit(t, q, "f", 0, true); err == nil {
			t.Error("a closed queue takes more")
		}
	})
}

func TestAKeyIsForgottenAfterItsRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failed error
		q, _ := newQueue(&failed)
		defer q.Close()
		if err := submit(t, q, "a", 0, true); err != nil {
			t.Fatal(err)
		}
		for _, known := range []bool{true, false} {
			_ = q.Submit(t.Context(), "key", func(_ *words, at Times) (Order, bool) {
				if at.Last.IsZero() == known || at.Waiting {
					t.Errorf("known %t: %+v", known, at)
				}
				return Order{}, false
			})
			time.Sleep(2 * time.Minute)
		}
		if len(q.entries) != 0 {
			t.Error("a look made an entry")
		}
	})
}
