// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"github.com/kuda-io/kuda/internal/sidecar"
)

const (
	// longestWait is how long Await waits. The kubelet asks again, with growing pauses;
	// while calls wait they have connections that others may need.
	longestWait = 10 * time.Second
	// maxTries is how often a takeover may fail. Then the store begins empty.
	maxTries = 3
	// tidyPause is between two takeovers that no call waits for: they only remove the
	// earlier store, once that is not used any more.
	tidyPause = time.Minute
	// maxRunning is how many processes there may be at once, each with its memory. Those
	// that no call waits for have one less.
	maxRunning = 3
	// maxWaiting is how many calls wait at once, of all namespaces; others are told to
	// come again. The driver's connections are for all of them, and for its probe.
	maxWaiting = 8
)

// errLater is of a store whose turn has not come.
var errLater = errors.New("other stores are taken over first")

// Supervisor begins takeovers when they are needed, one at a time for each store, and a
// few at once.
type Supervisor struct {
	// Base is the node's directory of stores.
	Base string
	// Run takes over the store of a namespace, by its name and UID, as a process of
	// its own.
	Run func(namespace, uid string) error
	Log logr.Logger

	waiting atomic.Int32
	mu      sync.Mutex
	last    map[[2]string]*attempt
	running int
}

// attempt is the last takeover of a store.
type attempt struct {
	done         chan struct{} // closed when it has ended, with err
	err          error
	began, ended time.Time
	failed       int
}

// Await returns when the store of a namespace may be used: when there is nothing to
// bring over, or when that is done. A takeover goes on when the call has ended.
func (s *Supervisor) Await(ctx context.Context, namespace, uid string) error {
	if !s.exists(namespace, uid) && !s.exists(namespace, gonePrefix+uid) {
		return nil
	}
	begun := s.exists(sidecar.NodeStoresDir, namespace, uid)
	a, given := s.ensureBegun([2]string{namespace, uid}, begun)
	if begun || given {
		return nil
	}
	if a == nil {
		return fmt.Errorf("taking over the store that the node has of namespace %s: %w", namespace, errLater)
	}
	longest := longestWait
	if s.waiting.Add(1) > maxWaiting {
		longest = 0
	}
	defer s.waiting.Add(-1)
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	select {
	case <-a.done:
		return a.err
	case <-ctx.Done():
		return fmt.Errorf("taking over the store that the node has of namespace %s: for %s so far",
			namespace, time.Since(a.began).Round(time.Second))
	}
}

func (s *Supervisor) exists(names ...string) bool {
	_, err := os.Lstat(filepath.Join(s.Base, filepath.Join(names...)))
	return err == nil
}

// ensureBegun returns the last takeover of a store, after it has begun one that is due; nil
// where too many are on their way. It reports whether there are to be no more of them, and the store begins empty.
func (s *Supervisor) ensureBegun(store [2]string, begun bool) (a *attempt, given bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.last[store]
	if last == nil {
		last = &attempt{ended: time.Unix(0, 0)}
	}
	given = last.failed >= maxTries
	running, paused := last.ended.IsZero(), time.Since(last.ended) < tidyPause
	if running || given && paused || begun && paused {
		return last, given
	}
	most := maxRunning
	if begun {
		most--
	}
	if s.running >= most {
		return nil, given
	}
	s.running++
	a = &attempt{done: make(chan struct{}), began: time.Now(), failed: last.failed}
	if s.last == nil {
		s.last = map[[2]string]*attempt{}
	}
	s.last[store] = a
	go func() {
		err := s.Run(store[0], store[1])
		s.mu.Lock()
		defer s.mu.Unlock()
		s.running--
		if err != nil {
			a.failed++
			a.err = fmt.Errorf("taking over the store that the node has of namespace %s (try %d; after %d it begins empty): %w",
				store[0], a.failed, maxTries, err)
			s.Log.Error(err, "an earlier store was not taken over", "namespace", store[0], "try", a.failed)
		}
		a.ended = time.Now()
		close(a.done)
	}()
	return a, given
}
