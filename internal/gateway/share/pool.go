// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package share

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// What keeps a caller from getting something.
var (
	// ErrBusy means that all of it is in use, or the queue is full.
	ErrBusy = errors.New("the gateway is busy; try again")
	// ErrShare means that the caller's pod or namespace has its share.
	ErrShare = errors.New("the pod or its namespace uses its share of the gateway; try again when less of it is in use")
)

// Limits of a Pool. All are amounts of what the pool hands out, but for Waiters.
type Limits struct {
	// Total is all there is.
	Total int64
	// PerPod and PerNamespace are what one of them may hold.
	PerPod, PerNamespace int64
	// Reserve is the part of Total that only namespaces get that hold nothing.
	Reserve int64
	// Waiters is how many callers may wait; 0: a caller gets it at once or not at
	// all. One pod may have a sixteenth of the waiting callers, and one namespace a
	// quarter.
	Waiters int
}

// Owner is who holds something.
type Owner struct{ Namespace, Pod string }

// Pool is safe for concurrent use.
type Pool struct {
	limits Limits

	mu         sync.Mutex
	used       int64
	pods       map[Owner]int64
	namespaces map[string]int64
	waiting    []*waiter
}

type waiter struct {
	owner  Owner
	amount int64
	// got is closed when the amount is the waiter's; the pool's lock guards granted.
	got     chan struct{}
	granted bool
}

// New makes a pool.
func New(l Limits) *Pool {
	return &Pool{limits: l, pods: make(map[Owner]int64), namespaces: make(map[string]int64)}
}

// Acquire takes an amount for the owner, and waits for it where the limits allow
// that. Errors wrap ErrBusy or ErrShare, or are the context's.
func (p *Pool) Acquire(ctx context.Context, owner Owner, amount int64) (*Held, error) {
	p.mu.Lock()
	err := p.checkLimits(owner, amount)
	if err == nil && len(p.waiting) == 0 {
		p.takeAmount(owner, amount)
		p.mu.Unlock()
		return &Held{pool: p, owner: owner, amount: amount}, nil
	}
	if amount > min(p.limits.Total, p.limits.PerPod, p.limits.PerNamespace) || !p.mayWait(owner) {
		p.mu.Unlock()
		if err == nil {
			err = ErrBusy
		}
		return nil, err
	}
	w := &waiter{owner: owner, amount: amount, got: make(chan struct{})}
	p.waiting = append(p.waiting, w)
	// The ones before it may wait for their own share only.
	p.grantWaiting()
	p.mu.Unlock()
	select {
	case <-w.got:
	case <-ctx.Done():
		if !p.cancelWait(w) {
			return nil, ctx.Err()
		}
	}
	return &Held{pool: p, owner: owner, amount: amount}, nil
}

// checkLimits returns an error if the amount cannot be taken now; the lock is held.
func (p *Pool) checkLimits(owner Owner, amount int64) error {
	held := p.namespaces[owner.Namespace]
	switch {
	case p.pods[owner]+amount > p.limits.PerPod, held+amount > p.limits.PerNamespace:
		return ErrShare
	case p.used+amount > p.limits.Total:
		return ErrBusy
	case held > 0 && p.used+amount > p.limits.Total-p.limits.Reserve:
		return ErrBusy
	default:
		return nil
	}
}

func (p *Pool) mayWait(owner Owner) bool {
	if len(p.waiting) >= p.limits.Waiters {
		return false
	}
	pod, namespace := 0, 0
	for _, w := range p.waiting {
		if w.owner.Namespace == owner.Namespace {
			namespace++
			if w.owner == owner {
				pod++
			}
		}
	}
	return pod < max(1, p.limits.Waiters/16) && namespace < max(1, p.limits.Waiters/4)
}

func (p *Pool) takeAmount(owner Owner, amount int64) {
	p.used += amount
	p.pods[owner] += amount
	p.namespaces[owner.Namespace] += amount
}

// grantWaiting gives to those who wait, in the order in which they came, what fits now;
// the lock is held.
func (p *Pool) grantWaiting() {
	p.waiting = slices.DeleteFunc(p.waiting, func(w *waiter) bool {
		if p.checkLimits(w.owner, w.amount) != nil {
			return false
		}
		p.takeAmount(w.owner, w.amount)
		w.granted = true
		close(w.got)
		return true
	})
}

// cancelWait ends the waiting; it reports whether the waiter has the amount already.
func (p *Pool) cancelWait(w *waiter) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.granted {
		return true
	}
	p.waiting = slices.DeleteFunc(p.waiting, func(other *waiter) bool { return other == w })
	return false
}

func (p *Pool) releaseAmount(owner Owner, amount int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used -= amount
	if p.pods[owner] -= amount; p.pods[owner] == 0 {
		delete(p.pods, owner)
	}
	if p.namespaces[owner.Namespace] -= amount; p.namespaces[owner.Namespace] == 0 {
		delete(p.namespaces, owner.Namespace)
	}
	p.grantWaiting()
}

// Used returns how much is handed out.
func (p *Pool) Used() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used
}

// Held is an amount that was handed out.
type Held struct {
	pool   *Pool
	owner  Owner
	mu     sync.Mutex
	amount int64
}

// Shrink gives all back but an amount.
func (h *Held) Shrink(to int64) {
	h.mu.Lock()
	back := h.amount - max(to, 0)
	if back <= 0 {
		h.mu.Unlock()
		return
	}
	h.amount -= back
	h.mu.Unlock()
	h.pool.releaseAmount(h.owner, back)
}

// Release gives all back. It may be called more than once.
func (h *Held) Release() { h.Shrink(0) }
