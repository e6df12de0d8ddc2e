// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package distance

import (
	"sync"
	"time"
)

// slack is how far a pace may be behind and catch up: timers are late by up to a
// millisecond, and later on a busy machine, which must not become a lower rate.
const slack = 5 * time.Millisecond

// pace spreads bytes over time.
type pace struct {
	rate int64 // bytes per second; 0 for any

	mu   sync.Mutex
	next time.Time
}

// reserveBytes returns how long to wait before n bytes go on.
func (p *pace) reserveBytes(n int) time.Duration {
	if p.rate == 0 {
		return 0
	}
	return p.reserveAt(time.Now(), n)
}

func (p *pace) reserveAt(now time.Time, n int) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if earliest := now.Add(-slack); p.next.Before(earliest) {
		p.next = earliest
	}
	wait := p.next.Sub(now)
	p.next = p.next.Add(time.Duration(int64(n) * int64(time.Second) / p.rate))
	return max(wait, 0)
}
