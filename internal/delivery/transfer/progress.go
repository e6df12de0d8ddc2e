// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"sync"
	"sync/atomic"
	"time"
)

// reportEvery is how often progress is told while the state stays the same.
const reportEvery = 200 * time.Millisecond

// reporter counts, and tells a callback.
type reporter struct {
	done, total, files, received, reused, cached atomic.Int64

	tell func(Progress)
	quit chan struct{}
	over sync.WaitGroup

	mu      sync.Mutex
	current State
	last    Progress
}

func newReporter(tell func(Progress)) *reporter {
	r := &reporter{tell: tell, quit: make(chan struct{})}
	if tell == nil {
		return r
	}
	r.over.Go(func() {
		ticker := time.NewTicker(reportEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				r.reportProgress()
			case <-r.quit:
				return
			}
		}
	})
	return r
}

// countReceived counts bytes that came over the network.
func (r *reporter) countReceived(from side, n int64) {
	r.received.Add(n)
	if from == cacheSide {
		r.cached.Add(n)
	}
}

// setState tells a new state at once.
func (r *reporter) setState(s State) {
	r.mu.Lock()
	r.current = s
	r.mu.Unlock()
	r.reportProgress()
}

func (r *reporter) reportProgress() {
	if r.tell == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := Progress{State: r.current, Done: r.done.Load(), Total: r.total.Load(),
		Files: int(r.files.Load()), Received: r.received.Load(), Cached: r.cached.Load()}
	if now != r.last && now.State != "" {
		r.last = now
		r.tell(now)
	}
}

// resetProgress forgets what belongs to one pass over the source.
func (r *reporter) resetProgress() {
	r.done.Store(0)
	r.total.Store(0)
	r.files.Store(0)
	r.reused.Store(0)
}

// stop returns when the callback will not be called again.
func (r *reporter) stop() {
	close(r.quit)
	r.over.Wait()
}
