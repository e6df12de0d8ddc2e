// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/kuda-io/kuda/internal/source"
)

// A source that asks to slow down, and does not say for how long, is left alone
// for shortPause. Nobody obeys for more than longPause: then it is asked again.
const (
	shortPause = time.Second
	longPause  = time.Minute
)

// gate is what the users of one source share.
type gate struct {
	node *node

	mu      sync.Mutex
	limits  Limits
	open    int
	waiting turns
	window  window
	until   time.Time // of the pause
	timer   *time.Timer
	bucket  bucket
}

func newGate(identity string, o Options) *gate {
	g := &gate{limits: o.Default}
	if o.Dir != "" {
		g.node = newNode(o.Dir, identity)
	}
	g.bucket.rate = o.Default.BytesPerSecond
	return g
}

func (g *gate) set(l Limits) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limits = l
	g.bucket.set(l.BytesPerSecond, time.Now())
	g.serve()
	g.pour()
}

// enter waits for a connection, and returns what gives it back: ok tells
// whether all that was asked for came.
func (g *gate) enter(ctx context.Context, u *user) (free func(ok bool), err error) {
	if err := g.wait(ctx, u); err != nil {
		return nil, err
	}
	g.mu.Lock()
	shared := g.limits.NodeConnections
	g.mu.Unlock()
	if shared == 0 || g.node == nil {
		return g.leave, nil
	}
	token, err := g.node.take(ctx, shared)
	if err != nil {
		g.leave(false)
		return nil, err
	}
	return func(ok bool) {
		token.Close()
		g.leave(ok)
	}, nil
}

func (g *gate) wait(ctx context.Context, u *user) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	w := newWaiter(u, 1)
	g.mu.Lock()
	g.waiting.push(w)
	g.serve()
	g.mu.Unlock()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	waiting := g.waiting.remove(w)
	g.mu.Unlock()
	if !waiting {
		g.leave(false)
	}
	return context.Cause(ctx)
}

func (g *gate) leave(ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open--
	if ok {
		g.window.grow()
	}
	g.serve()
}

// serve lets in whom there is room for.
func (g *gate) serve() {
	if time.Now().Before(g.until) {
		return // the timer calls it
	}
	for w := g.waiting.first(); w != nil && g.room(); w = g.waiting.first() {
		g.waiting.pop()
		g.open++
		close(w.ready)
	}
}

func (g *gate) room() bool {
	return (g.limits.Connections == 0 || g.open < g.limits.Connections) && g.window.room(g.open)
}

// heard takes the outcome of a request. A source that asks to slow down is left
// alone by everybody for a while, and then asked by half as many.
func (g *gate) heard(err error) {
	if err == nil || !errors.Is(err, source.ErrThrottled) {
		return
	}
	pause := min(source.RetryAfter(err), longPause)
	if pause == 0 {
		pause = shortPause
	}
	// Those of other processes heard it too, and are not to come back at once.
	pause += rand.N(pause/4 + 1)
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if !now.Before(g.until) {
		// Once for all requests that were under way.
		g.window.halve(g.open)
	}
	if until := now.Add(pause); until.After(g.until) {
		g.until = until
		if g.timer != nil {
			g.timer.Stop()
		}
		g.timer = time.AfterFunc(pause, func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.serve()
		})
	}
}

// window bounds the connections to a source that asked to slow down: half of
// them at once, and one more for each round of requests that went well, until
// there are as many as before.
type window struct {
	size, peak float64 // size is 0 where there is no bound
}

func (w *window) room(open int) bool { return w.size == 0 || open < int(w.size) }

func (w *window) halve(open int) {
	if w.size == 0 || w.peak < float64(open) {
		w.peak = float64(open)
	}
	w.size = max(float64(open)/2, 1)
}

func (w *window) grow() {
	if w.size == 0 {
		return
	}
	if w.size += 1 / w.size; w.size > w.peak {
		w.size = 0
	}
}
