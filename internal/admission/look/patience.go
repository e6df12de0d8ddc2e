// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package look

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// ErrImpatient ends the wait of a caller that may wait only briefly.
var ErrImpatient = errors.New("the answer takes long, and too many wait for theirs already; try again")

// Patience bounds how many callers wait long at a time: whoever waits holds a place
// that others need, and may have made its own answer slow. Where all places are taken, the
// key with most of them gives one to a key that has fewer with it still.
type Patience struct {
	// OfKey bounds those of one key, OfAll all of them.
	OfKey, OfAll int

	mu  sync.Mutex
	all int
	// byKey are the places of each key, the one taken first in front. A channel is
	// closed when its place is given to another key.
	byKey map[string][]chan struct{}
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
	place := p.enter(key)
	if place == nil {
		return ErrImpatient
	}
	defer p.leave(key, place)
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-place:
		return ErrImpatient
	}
}

// enter returns a place for one more caller of the key; nil: there is none.
func (p *Patience) enter(key string) chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	own := len(p.byKey[key])
	if own >= p.OfKey || p.all >= p.OfAll && !p.displace(own+1) {
		return nil
	}
	if p.byKey == nil {
		p.byKey = map[string][]chan struct{}{}
	}
	place := make(chan struct{})
	p.byKey[key] = append(p.byKey[key], place)
	p.all++
	return place
}

// displace takes a place from the key that has most, if that has more than so many. It
// reports whether a place is free now; the lock is held.
func (p *Patience) displace(than int) bool {
	most := ""
	for key, places := range p.byKey {
		if len(places) > than {
			most, than = key, len(places)
		}
	}
	if most == "" {
		return false
	}
	first := p.byKey[most][0]
	p.removePlace(most, first)
	close(first)
	return true
}

func (p *Patience) leave(key string, place chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.removePlace(key, place)
}

// removePlace frees a place, if it is not free; the lock is held.
func (p *Patience) removePlace(key string, place chan struct{}) {
	i := slices.Index(p.byKey[key], place)
	if i < 0 {
		return
	}
	p.all--
	if p.byKey[key] = slices.Delete(p.byKey[key], i, i+1); len(p.byKey[key]) == 0 {
		delete(p.byKey, key)
	}
}
