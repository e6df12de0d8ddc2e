// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package look

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrImpatient ends the wait of a caller that may wait only briefly.
var ErrImpatient = errors.New("the answer takes long, and too many wait for theirs already; try again")

// Patience bounds how many callers wait long at a time: whoever waits holds a place
// that others need, and may have made its own answer slow.
type Patience struct {
	// OfKey bounds those of one key, OfAll all of them.
	OfKey, OfAll int

	mu    sync.Mutex
	all   int
	byKey map[string]int
}

// Wait returns when done is closed, or with an error: that of the context, or
// ErrImpatient after a brief wait of a caller that may not go on waiting.
func (p *Patience) Wait(ctx context.Context, key string, brief time.Duration, done <-chan struct{}) error {
	timer := time.NewTimer(brief)
	defer timer.Stop()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
	}
	if !p.enter(key) {
		return ErrImpatient
	}
	defer p.leave(key)
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// enter reports whether one more caller of the key may wait.
func (p *Patience) enter(key string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all >= p.OfAll || p.byKey[key] >= p.OfKey {
		return false
	}
	if p.byKey == nil {
		p.byKey = map[string]int{}
	}
	p.all++
	p.byKey[key]++
	return true
}

func (p *Patience) leave(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all--
	if p.byKey[key]--; p.byKey[key] == 0 {
		delete(p.byKey, key)
	}
}
