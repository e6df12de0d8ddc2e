// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"sync"
	"time"

	"github.com/kuda-io/kuda/internal/backoff"
)

const (
	// breakerFailures in a row open a breaker.
	breakerFailures = 3
	// breakerFirst and breakerLimit bound how long it stays open.
	breakerFirst = 30 * time.Second
	breakerLimit = 5 * time.Minute
)

// Breaker keeps a cache that fails from being asked. After a few failures in a row it
// opens for a while; then one probe is let through, which closes it or opens it for twice
// as long. It is safe for use by several goroutines.
type Breaker struct {
	now func() time.Time

	mu sync.Mutex
	// failures in a row, and how often in a row it opened.
	failures, opened int
	until            time.Time
	probing          bool
}

// NewBreaker returns a closed breaker. Now is time.Now, but for tests.
func NewBreaker(now func() time.Time) *Breaker { return &Breaker{now: now} }

// Allow reports whether the cache may be asked. Whoever is allowed says what came of it:
// by Succeed, Fail, or Forget.
func (b *Breaker) Allow() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.opened == 0:
		return true
	case b.probing || b.now().Before(b.until):
		return false
	}
	b.probing = true
	return true
}

// Open reports whether the cache is not asked.
func (b *Breaker) Open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.opened > 0 && b.now().Before(b.until)
}

// Succeed closes the breaker.
func (b *Breaker) Succeed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures, b.opened, b.probing = 0, 0, false
}

// Fail counts a failure.
func (b *Breaker) Fail() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures++
	if b.opened > 0 && !b.probing && b.now().Before(b.until) { // it was allowed before the breaker opened
		return
	}
	if b.failures < breakerFailures && !b.probing {
		return
	}
	b.probing = false
	b.opened++
	b.until = b.now().Add(backoff.Doubled(breakerFirst, breakerLimit, b.opened-1))
}

// Forget takes back what Allow let through, without a result.
func (b *Breaker) Forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
}
