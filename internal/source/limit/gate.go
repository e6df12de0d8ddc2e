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
// for shortPause. A longer pause than longPause is cut to it: then the source
// is asked again.
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
	heat    heat
	until   time.Time // of the pause
	timer   *time.Timer
	bucket  bucket
}

func newGate(identity string, o Options) *gate {
	g := &gate{limits: o.Default, heat: hot}
	if o.Dir != "" {
		g.node = newNode(o.Dir, identity)
	}
	g.bucket.rate = o.Default.BytesPerSecond
	return g
}

func (g *gate) setLimits(l Limits) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limits = l
	g.bucket.setRate(l.BytesPerSecond, time.Now())
	g.grantConnections()
	g.grantBytes()
}

// acquireConnection waits for a connection, and returns what gives it back: ok reports
// whether all that was asked for came.
func (g *gate) acquireConnection(ctx context.Context, u *user) (free func(ok bool), err error) {
	if err := g.awaitConnection(ctx, u); err != nil {
		return nil, err
	}
	g.mu.Lock()
	shared := g.limits.NodeConnections
	g.mu.Unlock()
	if shared == 0 || g.node == nil {
		return g.releaseConnection, nil
	}
	token, err := g.node.acquireSlot(ctx, shared)
	if err != nil {
		g.releaseConnection(false)
		return nil, err
	}
	return func(ok bool) {
		token.Close()
		g.releaseConnection(ok)
	}, nil
}

func (g *gate) awaitConnection(ctx context.Context, u *user) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	w := newWaiter(u, 1)
	g.mu.Lock()
	g.waiting.push(w)
	g.grantConnections()
	g.mu.Unlock()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	waiting := g.waiting.removeWaiter(w)
	g.mu.Unlock()
	if !waiting {
		g.releaseConnection(false)
	}
	return context.Cause(ctx)
}

func (g *gate) releaseConnection(ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open--
	if ok {
		g.window.increaseSize()
		g.heat.coolDown()
	}
	g.grantConnections()
}

// grantConnections lets in whom there is room for.
func (g *gate) grantConnections() {
	if time.Now().Before(g.until) {
		return // the timer calls it
	}
	for w := g.waiting.firstWaiter(); w != nil && g.hasRoom(); w = g.waiting.firstWaiter() {
		g.waiting.pop()
		g.open++
		close(w.ready)
	}
}

func (g *gate) hasRoom() bool {
	return (g.limits.Connections == 0 || g.open < g.limits.Connections) && g.window.hasRoom(g.open)
}

// handleOutcome takes the outcome of a request. A source that asks to slow down gets no
// requests for a while, and then half as many at a time. Where it refuses a request now and
// then among many that it serves, as large services do, only the one that was refused waits.
func (g *gate) handleOutcome(err error) {
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
	if !g.heat.countRefusal() {
		return
	}
	now := time.Now()
	if !now.Before(g.until) {
		// Once for all requests that were under way.
		g.window.halveSize(g.open)
	}
	if until := now.Add(pause); until.After(g.until) {
		g.until = until
		if g.timer != nil {
			g.timer.Stop()
		}
		g.timer = time.AfterFunc(pause, func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.grantConnections()
		})
	}
}

// isLimited reports whether connections are limited, for good or for a while.
func (g *gate) isLimited() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.limits.Connections > 0 || g.limits.NodeConnections > 0 || g.window.size > 0
}

// isHolding reports whether requests wait because the source asked to slow down.
func (g *gate) isHolding() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.window.size > 0 || time.Now().Before(g.until)
}

// heat is the share of requests that a source refused lately. It begins as high as makes
// the first refusal count.
type heat float64

const (
	// hot is the share from which on a refusal is for all: one of sixteen.
	hot heat = 1.0 / 16
	// heatMemory is how many requests the share is of, about.
	heatMemory = 64
)

func (h *heat) coolDown() { *h -= *h / heatMemory }

// countRefusal counts a refusal, and reports whether there are too many.
func (h *heat) countRefusal() bool {
	*h += (1 - *h) / heatMemory
	return *h > hot
}

// window bounds the connections to a source that asked to slow down: half of
// them at once, and one more for each round of requests that went well, until
// there are as many as before.
type window struct {
	size, peak float64 // size is 0 where there is no bound
}

func (w *window) hasRoom(open int) bool { return w.size == 0 || open < int(w.size) }

func (w *window) halveSize(open int) {
	if w.size == 0 || w.peak < float64(open) {
		w.peak = float64(open)
	}
	w.size = max(float64(open)/2, 1)
}

func (w *window) increaseSize() {
	if w.size == 0 {
		return
	}
	if w.size += 1 / w.size; w.size > w.peak {
		w.size = 0
	}
}
