// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package look

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/kuda-io/kuda/internal/fairshare"
)

// ErrImpatient ends the wait of a caller that may wait only briefly.
var ErrImpatient = errors.New("the answer takes long, and too many wait for theirs already; try again")

// Patience bounds how many callers wait long at a time: whoever waits holds a place
// that others need, and may have made its own answer slow. Where all places are taken,
// one of the key that has most gives way to a key that has fewer.
type Patience struct {
	ofKey  int64
	places *fairshare.Pool

	mu    sync.Mutex
	byKey map[string]int64
}

// NewPatience makes one with places for so many callers, and for so many of one key.
func NewPatience(ofKey, ofAll int64) *Patience {
	return &Patience{ofKey: ofKey, places: fairshare.NewPool(ofAll), byKey: map[string]int64{}}
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
	displaced := make(chan struct{})
	place, ok := p.places.Acquire(key, 1, func() { close(displaced) })
	if !ok {
		return ErrImpatient
	}
	defer place.Release()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-displaced:
		return ErrImpatient
	}
}

// enter reports whether one more caller of the key may wait.
func (p *Patience) enter(key string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byKey[key] >= p.ofKey {
		return false
	}
	p.byKey[key]++
	return true
}

func (p *Patience) leave(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byKey[key]--; p.byKey[key] == 0 {
		delete(p.byKey, key)
	}
}
