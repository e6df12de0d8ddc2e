// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/retry"
)

// store is a source whose bodies take a while to begin, and which counts.
type store struct {
	took time.Duration
	fail func() error // of Open

	open, most, asked atomic.Int64
}

func (s *store) Identity() string { return "test://store" }
func (s *store) Close() error     { return nil }

func (s *store) enter() {
	s.asked.Add(1)
	open := s.open.Add(1)
	for most := s.most.Load(); open > most && !s.most.CompareAndSwap(most, open); most = s.most.Load() {
	}
}

func (s *store) List(ctx context.Context, path string) iter.Seq2[source.Entry, error] {
	return func(yield func(source.Entry, error) bool) {
		s.enter()
		defer s.open.Add(-1)
		time.Sleep(s.took)
		yield(source.Entry{Path: "a"}, nil)
	}
}

func (s *store) Open(ctx context.Context, e source.Entry, offset, length int64) (io.ReadCloser, error) {
	s.enter()
	time.Sleep(s.took)
	if s.fail != nil {
		if err := s.fail(); err != nil {
			s.open.Add(-1)
			return nil, err
		}
	}
	return &storeBody{Reader: bytes.NewReader(make([]byte, length)), store: s}, nil
}

type storeBody struct {
	*bytes.Reader
	store *store
}

func (b *storeBody) Close() error {
	b.store.open.Add(-1)
	return nil
}

var errThrottled = &source.Error{Op: "testing", Class: source.ErrThrottled, RetryAfter: 10 * time.Second}

func read(ctx context.Context, s source.Source, size int64) error {
	body, err := s.Open(ctx, source.Entry{Key: "k", Size: size, Identity: `"1"`}, 0, size)
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(io.Discard, struct{ io.Reader }{body})
	return err
}

func TestThereAreNeverMoreConnectionsThanAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{took: time.Second}
		g := NewGroup(Options{Default: Limits{Connections: 3}})
		var wg sync.WaitGroup
		started := time.Now()
		for range 4 {
			limited := g.Wrap(s)
			for range 5 {
				wg.Go(func() {
					if err := read(t.Context(), limited, 10); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Go(func() {
				for _, err := range limited.List(t.Context(), "") {
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if s.most.Load() != 3 || s.asked.Load() != 24 || time.Since(started) != 8*time.Second {
			t.Errorf("%d at the same time, %d in all, in %v", s.most.Load(), s.asked.Load(), time.Since(started))
		}
	})
}

func TestALargeDeliveryDoesNotKeepASmallOneWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{took: time.Second}
		g := NewGroup(Options{Default: Limits{Connections: 2}})
		large, tiny := g.Wrap(s), g.Wrap(s)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { _ = read(t.Context(), large, 10) })
		}
		synctest.Wait()
		started := time.Now()
		if err := read(t.Context(), tiny, 10); err != nil {
			t.Error(err)
		}
		if waited := time.Since(started); waited > 3*time.Second {
			t.Errorf("it took %v", waited)
		}
		wg.Wait()
	})
}

func TestBytesPassAtTheRateAndAreSharedByUserNotByConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate = 1 << 20
		s := &store{}
		g := NewGroup(Options{})
		g.Set(s.Identity(), Limits{BytesPerSecond: rate})
		greedy, modest := g.Wrap(s), g.Wrap(s)
		started := time.Now()
		var wg sync.WaitGroup
		for range 9 {
			wg.Go(func() {
				if err := read(t.Context(), greedy, 2*rate); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Go(func() {
			if err := read(t.Context(), modest, 2*rate); err != nil {
				t.Error(err)
			}
			// Half of the rate is its share.
			if took := time.Since(started); took < 3*time.Second || took > 5*time.Second {
				t.Errorf("one connection among ten took %v", took)
			}
		})
		wg.Wait()
		if took := time.Since(started); took < 19*time.Second || took > 21*time.Second {
			t.Errorf("20 seconds' worth took %v", took)
		}
	})
}

func TestASourceThatIsThrottledIsLeftAloneByAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failures atomic.Int64
		failures.Store(1)
		s := &store{took: time.Second}
		s.fail = func() error {
			if failures.Add(-1) == 0 {
				return errThrottled
			}
			return nil
		}
		g := NewGroup(Options{})
		if err := read(t.Context(), g.Wrap(s), 10); !errors.Is(err, source.ErrThrottled) {
			t.Fatalf("got %v", err)
		}
		started, asked := time.Now(), s.asked.Load()
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if err := read(t.Context(), g.Wrap(s), 10); err != nil {
					t.Error(err)
				}
				if waited := time.Since(started); waited < 10*time.Second {
					t.Errorf("the source was asked again after %v", waited)
				}
			})
		}
		time.Sleep(9 * time.Second)
		if s.asked.Load() != asked {
			t.Error("the source was asked in the pause")
		}
		wg.Wait()
	})
}

func TestAThrottledSourceIsAskedByHalfAsManyAndThenByAllAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{took: time.Second}
		var throttle atomic.Bool
		s.fail = func() error {
			if throttle.Load() {
				return errThrottled
			}
			return nil
		}
		g := NewGroup(Options{Default: Limits{Connections: 8}})
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 8 {
			limited := retry.New(g.Wrap(s), retry.Policy{Attempts: 100})
			wg.Go(func() {
				for ctx.Err() == nil {
					_ = read(ctx, limited, 10)
				}
			})
		}
		time.Sleep(5 * time.Second)
		throttle.Store(true)
		time.Sleep(2 * time.Second)
		throttle.Store(false)
		s.most.Store(0)
		time.Sleep(13 * time.Second) // the pause, and one or two rounds
		if most := s.most.Load(); most < 4 || most > 6 {
			t.Errorf("%d asked at the same time after the pause", most)
		}
		time.Sleep(20 * time.Second)
		if most := s.most.Load(); most != 8 {
			t.Errorf("%d asked at the same time in the end", most)
		}
		stop()
		wg.Wait()
	})
}

func TestWhoeverGivesUpTakesNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{took: time.Minute}
		g := NewGroup(Options{Default: Limits{Connections: 1, BytesPerSecond: 100}})
		go func() { _ = read(t.Context(), g.Wrap(s), 0) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		limited := g.Wrap(s)
		if err := read(ctx, limited, 10); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		time.Sleep(time.Minute)
		s.took = 0
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := read(ctx, limited, 1<<20); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		gate := g.gateFor(s.Identity())
		if gate.open != 0 || gate.waiting.firstWaiter() != nil || gate.bucket.waiting.firstWaiter() != nil {
			t.Errorf("%d connections are open, and a caller waits", gate.open)
		}
		if err := read(t.Context(), limited, 10); err != nil {
			t.Error(err)
		}
	})
}

func TestChangedLimitsApplyToWaitingReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{took: time.Second}
		g := NewGroup(Options{Default: Limits{Connections: 1, BytesPerSecond: 1}})
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if err := read(t.Context(), g.Wrap(s), 1<<20); err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(10 * time.Second)
		g.Set(s.Identity(), Limits{})
		started := time.Now()
		wg.Wait()
		if took := time.Since(started); took > 2*time.Second {
			t.Errorf("it took %v without limits", took)
		}
	})
}

func TestProcessesOfANodeShareItsConnections(t *testing.T) {
	s := &store{}
	dir := t.TempDir()
	var wg sync.WaitGroup
	for range 3 { // three processes, as far as flock(2) can tell
		g := NewGroup(Options{Dir: dir, Default: Limits{NodeConnections: 2}})
		limited := g.Wrap(s)
		for range 20 {
			wg.Go(func() {
				for range 20 {
					if err := read(t.Context(), limited, 1000); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	if s.most.Load() > 2 || s.asked.Load() != 1200 {
		t.Errorf("%d at the same time, %d in all", s.most.Load(), s.asked.Load())
	}
}

func TestAWaitForTheNodeEndsWithItsContext(t *testing.T) {
	s := &store{}
	dir := t.TempDir()
	g := NewGroup(Options{Dir: dir, Default: Limits{NodeConnections: 1}})
	body, err := g.Wrap(s).Open(t.Context(), source.Entry{Size: 1}, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := read(ctx, g.Wrap(s), 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	body.Close()
	if err := read(t.Context(), g.Wrap(s), 1); err != nil {
		t.Error(err)
	}
}
