// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// maxAddresses bounds how many addresses are told apart; with more, the oldest are
	// forgotten.
	maxAddresses = 1024
	// allFactor is how much all addresses together may, beside one.
	allFactor = 10
)

// limiter bounds how often the API is asked: by one address, and in all.
type limiter struct {
	limits Limits
	now    func() time.Time

	mu   sync.Mutex
	all  *rate.Limiter
	byIP map[string]*addressLimit
}

type addressLimit struct {
	*rate.Limiter
	used time.Time
}

func newLimiter(l Limits, now func() time.Time) *limiter {
	return &limiter{limits: l, now: now, all: rate.NewLimiter(rate.Limit(l.PerSecond*allFactor), l.Burst*allFactor),
		byIP: map[string]*addressLimit{}}
}

// allowAddress reports whether the address may ask now.
func (l *limiter) allowAddress(address string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	a := l.byIP[address]
	if a == nil {
		if len(l.byIP) >= maxAddresses {
			l.forgetOldest()
		}
		a = &addressLimit{Limiter: rate.NewLimiter(rate.Limit(l.limits.PerSecond), l.limits.Burst)}
		l.byIP[address] = a
	}
	a.used = now
	return a.AllowN(now, 1) && l.all.AllowN(now, 1)
}

func (l *limiter) forgetOldest() {
	oldest := ""
	for address, a := range l.byIP {
		if oldest == "" || a.used.Before(l.byIP[oldest].used) {
			oldest = address
		}
	}
	delete(l.byIP, oldest)
}
