// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package share

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

func acquireFor(t *testing.T, p *Pool, namespace, pod string) *Held {
	t.Helper()
	h, err := p.Acquire(t.Context(), Owner{namespace, pod}, 1)
	if err != nil {
		t.Fatalf("%s/%s: %v", namespace, pod, err)
	}
	return h
}

func checkRefused(t *testing.T, p *Pool, namespace, pod string, want error) {
	t.Helper()
	if _, err := p.Acquire(t.Context(), Owner{namespace, pod}, 1); !errors.Is(err, want) {
		t.Errorf("%s/%s: %v, want %v", namespace, pod, err, want)
	}
}

func TestOnePodOrNamespaceGetsItsShareOnly(t *testing.T) {
	p := New(Limits{Total: 12, PerPod: 2, PerNamespace: 4, Reserve: 4})
	for _, pod := range []string{"a", "a", "b", "b"} {
		acquireFor(t, p, "hog", pod)
	}
	checkRefused(t, p, "hog", "a", ErrShare)
	checkRefused(t, p, "hog", "c", ErrShare)
	for range 2 {
		acquireFor(t, p, "second", "a")
		acquireFor(t, p, "second", "b")
	}
	// Eight of twelve are in use: the rest is for namespaces that hold nothing.
	last := acquireFor(t, p, "third", "a")
	checkRefused(t, p, "third", "b", ErrBusy)
	for n := range 3 {
		acquireFor(t, p, fmt.Sprintf("new-%d", n), "a")
	}
	checkRefused(t, p, "newest", "a", ErrBusy)
	last.Release()
	last.Release()
	acquireFor(t, p, "newest", "a")
	if p.Used() != 12 {
		t.Errorf("%d in use, want 12", p.Used())
	}
}

func TestAWaitingCallerDoesNotHoldUpOthers(t *testing.T) {
	p := New(Limits{Total: 4, PerPod: 1, PerNamespace: 2, Waiters: 32})
	first := acquireFor(t, p, "a", "p")
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := p.Acquire(ctx, Owner{"a", "p"}, 1)
		left <- err
	}()
	waits := func(n int) {
		for {
			p.mu.Lock()
			have := len(p.waiting)
			p.mu.Unlock()
			if have == n {
				return
			}
		}
	}
	waits(1)
	acquireFor(t, p, "b", "p").Release()
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Fatalf("a caller that left: %v", err)
	}
	got := make(chan *Held, 2)
	for range 2 {
		go func() {
			h, err := p.Acquire(t.Context(), Owner{"a", "p"}, 1)
			if err != nil {
				t.Error(err)
			}
			got <- h
		}()
	}
	waits(2)
	checkRefused(t, p, "a", "p", ErrShare)
	first.Release()
	(<-got).Release()
	(<-got).Release()
	if p.Used() != 0 || len(p.pods) != 0 || len(p.namespaces) != 0 {
		t.Errorf("%d in use by %d pods", p.Used(), len(p.pods))
	}
}

func TestWhatDoesNotFitAtAllIsRefusedAtOnce(t *testing.T) {
	p := New(Limits{Total: 100, PerPod: 10, PerNamespace: 20, Waiters: 8})
	if _, err := p.Acquire(t.Context(), Owner{"a", "p"}, 11); !errors.Is(err, ErrShare) {
		t.Errorf("more than a pod's share: %v", err)
	}
	h, err := p.Acquire(t.Context(), Owner{"a", "p"}, 10)
	if err != nil {
		t.Fatal(err)
	}
	h.Shrink(3)
	h.Shrink(7)
	if p.Used() != 3 {
		t.Errorf("%d in use, want 3", p.Used())
	}
}
