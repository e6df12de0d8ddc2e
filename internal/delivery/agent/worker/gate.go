// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"errors"
	"sync"
)

// errYield ends what only prepares, because there is work for the present.
var errYield = errors.New("what the pod is to have now comes first")

// Gate lets prefetches work only while nothing that the pod is to have now is
// downloaded or switched to.
type Gate struct {
	mu      sync.Mutex
	busy    int
	freed   chan struct{} // closed when busy becomes 0
	next    int
	running map[int]context.CancelCauseFunc
}

// NewGate returns a gate that is open.
func NewGate() *Gate {
	return &Gate{freed: make(chan struct{}), running: map[int]context.CancelCauseFunc{}}
}

// interruptPrefetches interrupts the prefetches until end is called; more than once is once.
func (g *Gate) interruptPrefetches() (end func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.busy++
	for _, cancel := range g.running {
		cancel(errYield)
	}
	return sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.busy--; g.busy == 0 {
			close(g.freed)
			g.freed = make(chan struct{})
		}
	})
}

// enterWhenIdle waits until there is nothing else to do. The context that it returns
// ends, with errYield, when there is again; leave must be called.
func (g *Gate) enterWhenIdle(ctx context.Context) (_ context.Context, leave func(), err error) {
	for {
		g.mu.Lock()
		if g.busy == 0 {
			ctx, cancel := context.WithCancelCause(ctx)
			g.next++
			n := g.next
			g.running[n] = cancel
			g.mu.Unlock()
			return ctx, func() { g.endPrefetch(n) }, nil
		}
		freed := g.freed
		g.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		}
	}
}

func (g *Gate) endPrefetch(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running[n](nil)
	delete(g.running, n)
}

// wasInterrupted reports whether work was interrupted by the gate alone.
func wasInterrupted(inner, outer context.Context) bool {
	return outer.Err() == nil && errors.Is(context.Cause(inner), errYield)
}
