// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"context"
	"time"
)

// Bytes are granted in pieces of pieceTime at the rate, within these bounds, so
// that several users take turns quickly; an unused bucket holds burstPieces.
const (
	pieceTime   = 50 * time.Millisecond
	minPiece    = 4 << 10
	maxPiece    = 1 << 20
	burstPieces = 2
)

// bucket fills with bytes at a rate.
type bucket struct {
	rate    int64 // bytes a second, 0 for no limit
	level   float64
	at      time.Time // when the level was right
	waiting turns
	timer   *time.Timer
}

// pieceSize is how many bytes are granted at once.
func (b *bucket) pieceSize() int {
	return int(min(max(b.rate*int64(pieceTime)/int64(time.Second), minPiece), maxPiece))
}

func (b *bucket) setRate(rate int64, now time.Time) {
	b.refillTokens(now)
	b.rate = rate
	b.level = min(b.level, float64(burstPieces*b.pieceSize()))
}

func (b *bucket) refillTokens(now time.Time) {
	if b.at.IsZero() {
		b.at, b.level = now, float64(b.pieceSize())
	}
	b.level = min(b.level+now.Sub(b.at).Seconds()*float64(b.rate), float64(burstPieces*b.pieceSize()))
	b.at = now
}

// awaitBytes waits until some of the next n bytes may be read, and returns how many.
func (g *gate) awaitBytes(ctx context.Context, u *user, n int) (int, error) {
	g.mu.Lock()
	if g.bucket.rate == 0 || n == 0 {
		g.mu.Unlock()
		return n, nil
	}
	n = min(n, g.bucket.pieceSize())
	w := newWaiter(u, n)
	g.bucket.waiting.push(w)
	g.grantBytes()
	g.mu.Unlock()
	select {
	case <-w.ready:
		return n, nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.bucket.waiting.removeWaiter(w) {
		g.bucket.level += float64(n)
	}
	g.grantBytes()
	return 0, context.Cause(ctx)
}

// refundBytes takes back what was granted and not read.
func (g *gate) refundBytes(n int) {
	if n == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.bucket.rate > 0 {
		g.bucket.level += float64(n)
		g.grantBytes()
	}
}

// grantBytes serves whom there are bytes for, and comes back for the next one.
func (g *gate) grantBytes() {
	b := &g.bucket
	b.refillTokens(time.Now())
	for w := b.waiting.firstWaiter(); w != nil; w = b.waiting.firstWaiter() {
		units := min(float64(w.units), float64(b.pieceSize())) // the rate may be a lower one than when it came
		if missing := units - b.level; b.rate > 0 && missing > 0 {
			b.scheduleGrant(time.Duration(missing/float64(b.rate)*float64(time.Second))+time.Microsecond, g)
			return
		}
		b.waiting.pop()
		b.level -= float64(w.units)
		close(w.ready)
	}
}

func (b *bucket) scheduleGrant(wait time.Duration, g *gate) {
	if b.timer != nil {
		b.timer.Stop()
	}
	b.timer = time.AfterFunc(wait, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.grantBytes()
	})
}
