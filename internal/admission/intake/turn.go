// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package intake

import (
	"context"
	"sync"
)

// turns lets a few in at a time, and callers by turns: one that waits with a
// thousand requests holds up another by one of them.
type turns struct {
	mu   sync.Mutex
	free int
	// waiting has the requests of each caller, and order the callers.
	waiting map[string][]chan struct{}
	order   []string
}

func newTurns(places int) *turns {
	return &turns{free: places, waiting: make(map[string][]chan struct{})}
}

// waitTurn waits for the caller's turn. After nil, leave must be called.
func (t *turns) waitTurn(ctx context.Context, caller string) error {
	t.mu.Lock()
	if t.free > 0 {
		t.free--
		t.mu.Unlock()
		return nil
	}
	called := make(chan struct{})
	if len(t.waiting[caller]) == 0 {
		t.order = append(t.order, caller)
	}
	t.waiting[caller] = append(t.waiting[caller], called)
	t.mu.Unlock()
	select {
	case <-called:
		return nil
	case <-ctx.Done():
	}
	if !t.removeWaiter(caller, called) {
		t.releaseTurn() // its turn came at the same moment; the next one has it
	}
	return ctx.Err()
}

// releaseTurn gives the place to who is next.
func (t *turns) releaseTurn() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.order) == 0 {
		t.free++
		return
	}
	caller := t.order[0]
	t.order = t.order[1:]
	next := t.waiting[caller][0]
	if rest := t.waiting[caller][1:]; len(rest) > 0 {
		t.waiting[caller] = rest
		t.order = append(t.order, caller)
	} else {
		delete(t.waiting, caller)
	}
	close(next)
}

// removeWaiter takes a request out that waits, and reports whether it still waited.
func (t *turns) removeWaiter(caller string, called chan struct{}) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, c := range t.waiting[caller] {
		if c != called {
			continue
		}
		rest := append(t.waiting[caller][:i:i], t.waiting[caller][i+1:]...)
		if len(rest) > 0 {
			t.waiting[caller] = rest
			return true
		}
		delete(t.waiting, caller)
		for j, name := range t.order {
			if name == caller {
				t.order = append(t.order[:j:j], t.order[j+1:]...)
				break
			}
		}
		return true
	}
	return false
}
