// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// maxAddresses bounds how many addresses and users are told apart; with more, the oldest
	// are forgotten.
	maxAddresses = 1024
	// allFactor is how much all addresses together may, beside one.
	allFactor = 10
)

// limiter bounds how often the API is asked: by one user, by one address of strangers, and
// by strangers in all.
type limiter struct {
	limits Limits
	now    func() time.Time

	mu  sync.Mutex
	all *rate.Limiter
	by  map[string]*addressLimit
}

type addressLimit struct {
	*rate.Limiter
	used time.Time
}

func newLimiter(l Limits, now func() time.Time) *limiter {
	return &limiter{limits: l, now: now, all: rate.NewLimiter(rate.Limit(l.PerSecond*allFactor), l.Burst*allFactor),
		by: map[string]*addressLimit{}}
}

// allowAddress reports whether the address may ask now.
func (l *limiter) allowAddress(address string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	return l.takeOne("address "+address, now) && l.all.AllowN(now, 1)
}

// allowUser reports whether the user of the digest may ask now.
func (l *limiter) allowUser(digest string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.takeOne("user "+digest, l.now())
}

func (l *limiter) takeOne(who string, now time.Time) bool {
	a := l.by[who]
	if a == nil {
		if len(l.by) >= maxAddresses {
			l.forgetOldest()
		}
		a = &addressLimit{Limiter: rate.NewLimiter(rate.Limit(l.limits.PerSecond), l.limits.Burst)}
		l.by[who] = a
	}
	a.used = now
	return a.AllowN(now, 1)
}

func (l *limiter) forgetOldest() {
	oldest := ""
	for who, a := range l.by {
		if oldest == "" || a.used.Before(l.by[oldest].used) {
			oldest = who
		}
	}
	delete(l.by, oldest)
}
