// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/kuda-io/kuda/internal/sidecar"
)

// Takeover is a process that brings an earlier store over.
type Takeover interface {
	// Run returns when it is done.
	Run() error
	// Progress says how far it is.
	Progress() string
}

const (
	// takeoverWait is how long a publication waits for it. The kubelet gives up after
	// two minutes, and asks again with growing pauses.
	takeoverWait = 30 * time.Second
	// takeoverTries is how often it may fail. Then the store begins empty.
	takeoverTries = 3
	// takeoverPause is after which time the remains of one are looked at again.
	takeoverPause = time.Minute
)

// takeovers are those of all namespaces.
type takeovers struct {
	Options
	mu    sync.Mutex
	known map[string]*attempt
}

// attempt is what is known of the takeover of one store.
type attempt struct {
	Takeover
	done  chan struct{} // closed when it has ended
	ended time.Time
	err   error
	tries int
}

// await returns when the store of a namespace may be used: when there is nothing to
// bring over, or when that is done. What remains to be tidied goes on behind it.
func (t *takeovers) await(ctx context.Context, namespace, uid string) error {
	exists := func(names ...string) bool {
		_, err := os.Lstat(filepath.Join(append([]string{t.Base}, names...)...))
		return err == nil
	}
	if t.Takeover == nil || !exists(namespace, uid) && !exists(namespace, ".gone-"+uid) {
		return nil
	}
	present := exists(sidecar.NodeStoresDir, namespace, uid)
	a := t.ensureStarted(namespace, uid, present)
	if present || a == nil {
		return nil
	}
	timer := time.NewTimer(takeoverWait)
	defer timer.Stop()
	select {
	case <-a.done:
		return a.err
	case <-timer.C:
	case <-ctx.Done():
	}
	return fmt.Errorf("taking over the store that the node has of namespace %s: %s", namespace, a.Progress())
}

// ensureStarted returns the attempt that runs, or a new one; nil where none is due.
func (t *takeovers) ensureStarted(namespace, uid string, present bool) *attempt {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := namespace + "/" + uid
	a := t.known[key]
	if a != nil && a.ended.IsZero() {
		return a
	}
	if a != nil && (present && time.Since(a.ended) < takeoverPause || !present && a.tries >= takeoverTries) {
		return nil
	}
	next := &attempt{done: make(chan struct{}), tries: 1}
	if a != nil && a.err != nil {
		next.tries += a.tries
	}
	// Not the context of the call: it goes on when the kubelet hangs up.
	next.Takeover = t.Takeover(context.Background(), namespace, uid)
	if t.known == nil {
		t.known = map[string]*attempt{}
	}
	t.known[key] = next
	go func() {
		err := next.Run()
		t.mu.Lock()
		defer t.mu.Unlock()
		if err != nil {
			next.err = fmt.Errorf("taking over the store that the node has of namespace %s (try %d of %d; then it begins empty): %w",
				namespace, next.tries, takeoverTries, err)
			t.Log.Error(err, "an earlier store was not taken over", "namespace", namespace, "try", next.tries)
		}
		next.ended = time.Now()
		close(next.done)
	}()
	return next
}
