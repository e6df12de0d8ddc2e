// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package nodestore

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/gateway/share"
)

// writeTimeout bounds one write with its retries.
const writeTimeout = 20 * time.Second

// rest is how long what was last written of a node is remembered: as long as the
// longest pause between two writes, and far longer than caches are behind.
const rest = 15 * time.Second

// A list that changes again and again is written less often: with it the lists of
// all other namespaces of the node are.
const (
	urgentPerSecond = 0.2
	urgentBurst     = 10
	maxPaces        = 16384
)

// Queue writes reports, one write at a time per node, the newest report of each
// namespace only.
type Queue struct {
	writer *Writer
	// slots bound the writes that are open together.
	slots *share.Pool
	clock clock.WithTicker
	log   logr.Logger
	// observe is told after each write.
	observe func(wrote bool, err error)

	mu    sync.Mutex
	nodes map[string]*pending
	// paces bound the writes that hardly wait, of each node and namespace.
	paces  *lru.Cache
	closed bool
	done   sync.WaitGroup
}

// pending is what waits for one node. While it exists, one goroutine serves it.
type pending struct {
	next map[string]v1alpha1.NamespaceStore
	// due is when next may be written.
	due time.Time
	// waiters want to know how the write of next ended.
	waiters []chan error
	last    time.Time
	// wrote is what was written of each namespace, which the cache may not show yet.
	wrote map[string]v1alpha1.NamespaceStore
	// poked is sent to when next or due changed.
	poked chan struct{}
}

// NewQueue makes a queue; observe is told after each write.
func NewQueue(w *Writer, slots *share.Pool, passive clock.WithTicker, log logr.Logger, observe func(wrote bool, err error)) *Queue {
	return &Queue{writer: w, slots: slots, clock: passive, log: log, observe: observe, nodes: make(map[string]*pending),
		paces: lru.New(maxPaces)}
}

// Submit takes an entry of a node's NodeStore. It returns when the entry, or a
// newer one that took its place, is written, so that a runtime that got its
// answer need not repeat itself; changes of figures alone are answered at once
// and may get lost.
func (q *Queue) Submit(ctx context.Context, node string, e v1alpha1.NamespaceStore) error {
	if err := q.writer.stampEntry(ctx, node, &e); err != nil {
		return err
	}
	grade, err := q.writer.gradeEntry(ctx, node, e)
	if err != nil {
		return err
	}
	written, err := q.queueEntry(node, e, grade)
	if written == nil || err != nil {
		return err
	}
	select {
	case err := <-written:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// queueEntry queues an entry, and returns the channel that receives the result of its
// write; nil: there is none.
func (q *Queue) queueEntry(node string, e v1alpha1.NamespaceStore, grade change) (chan error, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, context.Canceled
	}
	p := q.nodes[node]
	if p != nil {
		if wrote, ok := p.wrote[e.Namespace]; ok {
			grade = max(grade, compareEntries(&wrote, &e))
		}
	}
	if _, waits := p.pendingEntry(e.Namespace); grade == nothing && !waits {
		return nil, nil
	}
	if p == nil {
		p = &pending{
			next: make(map[string]v1alpha1.NamespaceStore), wrote: make(map[string]v1alpha1.NamespaceStore),
			poked: make(chan struct{}, 1),
		}
		q.nodes[node] = p
		q.done.Go(func() { q.runWriter(node, p) })
	}
	due := p.last.Add(grade.writeInterval())
	if now := q.clock.Now(); grade == contents && !q.getLimiter(node, e.Namespace).AllowN(now, 1) {
		due = now.Add(figures.writeInterval())
	}
	if len(p.next) == 0 || due.Before(p.due) {
		p.due = due
	}
	p.next[e.Namespace] = e
	var written chan error
	if grade == contents {
		written = make(chan error, 1)
		p.waiters = append(p.waiters, written)
	}
	p.signalWriter()
	return written, nil
}

// getLimiter returns the limiter of a namespace on a node; the lock is held.
func (q *Queue) getLimiter(node, namespace string) *rate.Limiter {
	key := [2]string{node, namespace}
	if known, ok := q.paces.Get(key); ok {
		return known.(*rate.Limiter)
	}
	fresh := rate.NewLimiter(urgentPerSecond, urgentBurst)
	q.paces.Add(key, fresh)
	return fresh
}

func (p *pending) pendingEntry(namespace string) (v1alpha1.NamespaceStore, bool) {
	if p == nil {
		return v1alpha1.NamespaceStore{}, false
	}
	e, ok := p.next[namespace]
	return e, ok
}

func (p *pending) signalWriter() {
	select {
	case p.poked <- struct{}{}:
	default:
	}
}

// runWriter writes what is due for one node until nothing has come for a while.
func (q *Queue) runWriter(node string, p *pending) {
	for {
		q.mu.Lock()
		now := q.clock.Now()
		wait := p.last.Add(rest).Sub(now)
		if len(p.next) > 0 {
			wait = p.due.Sub(now)
			if q.closed {
				wait = 0
			}
		}
		if len(p.next) == 0 && (wait <= 0 || q.closed) {
			delete(q.nodes, node)
			q.mu.Unlock()
			return
		}
		if wait > 0 {
			q.mu.Unlock()
			timer := q.clock.NewTimer(wait)
			select {
			case <-timer.C():
			case <-p.poked:
				timer.Stop()
			}
			continue
		}
		entries, waiters := p.takeEntries()
		q.mu.Unlock()

		err := q.writeEntries(node, entries)
		q.mu.Lock()
		p.last = q.clock.Now()
		if err == nil {
			for i := range entries {
				p.wrote[entries[i].Namespace] = entries[i]
			}
		}
		q.mu.Unlock()
		for _, w := range waiters {
			w <- err
		}
	}
}

// takeEntries takes all waiting entries.
func (p *pending) takeEntries() ([]v1alpha1.NamespaceStore, []chan error) {
	entries := make([]v1alpha1.NamespaceStore, 0, len(p.next))
	for _, e := range p.next {
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b v1alpha1.NamespaceStore) int { return cmp.Compare(a.Namespace, b.Namespace) })
	waiters := p.waiters
	clear(p.next)
	p.waiters = nil
	return entries, waiters
}

func (q *Queue) writeEntries(node string, entries []v1alpha1.NamespaceStore) error {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	wrote := false
	slot, err := q.slots.Acquire(ctx, share.Owner{Namespace: node, Pod: node}, 1)
	if err == nil {
		defer slot.Release()
		wrote, err = q.writer.updateStatus(ctx, node, entries)
	}
	q.observe(wrote, err)
	if err != nil {
		q.log.V(1).Info("did not write what a node holds", "node", node, "error", err.Error())
	}
	return err
}

// Close writes what waits and refuses more.
func (q *Queue) Close() {
	q.mu.Lock()
	q.closed = true
	for _, p := range q.nodes {
		p.signalWriter()
	}
	q.mu.Unlock()
	q.done.Wait()
}
