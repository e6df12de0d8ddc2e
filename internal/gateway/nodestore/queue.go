// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package nodestore

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/gateway/coalesce"
	"github.com/kuda-io/kuda/internal/gateway/share"
)

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
	clock  clock.PassiveClock
	queue  *coalesce.Queue[string, pending]
	// paces bound the writes that hardly wait, of each node and namespace.
	paces *lru.Cache
}

// pending is what waits for one node.
type pending struct {
	next map[string]v1alpha1.NamespaceStore
	// wrote is what was written of each namespace, which the cache may not show yet.
	wrote map[string]v1alpha1.NamespaceStore
	// node is what the keeper said of the node; nil: nothing that waits.
	node *NodeReport
}

// NewQueue makes a queue; observe is told after each write.
func NewQueue(w *Writer, slots *share.Pool, ticking clock.WithTicker, log logr.Logger, observe func(wrote bool, err error)) *Queue {
	q := &Queue{writer: w, clock: ticking, paces: lru.New(maxPaces)}
	q.queue = coalesce.New(coalesce.Options[string, pending]{
		Slots: slots, Clock: ticking, Rest: rest, Take: q.takeEntries,
		Owner: func(node string) share.Owner { return share.Owner{Namespace: node, Pod: node} },
		Observe: func(node string, wrote bool, err error) {
			observe(wrote, err)
			if err != nil {
				log.V(1).Info("did not write what a node holds", "node", node, "error", err.Error())
			}
		},
	})
	return q
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
	return q.queue.Submit(ctx, node, func(p *pending, at coalesce.Times) (coalesce.Order, bool) {
		if wrote, ok := p.wrote[e.Namespace]; ok {
			grade = max(grade, compareEntries(&wrote, &e))
		}
		if _, waits := p.next[e.Namespace]; grade == nothing && !waits {
			return coalesce.Order{}, false
		}
		if p.next == nil {
			p.next, p.wrote = make(map[string]v1alpha1.NamespaceStore), make(map[string]v1alpha1.NamespaceStore)
		}
		p.next[e.Namespace] = e
		due := at.Last.Add(grade.writeInterval())
		if now := q.clock.Now(); grade == contents && !q.getLimiter(node, e.Namespace).AllowN(now, 1) {
			due = now.Add(figures.writeInterval())
		}
		return coalesce.Order{Due: due, Awaited: grade == contents}, true
	})
}

// getLimiter returns the limiter of a namespace on a node; the queue calls one at a time.
func (q *Queue) getLimiter(node, namespace string) *rate.Limiter {
	key := [2]string{node, namespace}
	if known, ok := q.paces.Get(key); ok {
		return known.(*rate.Limiter)
	}
	fresh := rate.NewLimiter(urgentPerSecond, urgentBurst)
	q.paces.Add(key, fresh)
	return fresh
}

// SubmitNode takes a keeper's report of a node. It returns when the report, or a newer one, is
// written, or says nothing new. Entries of namespaces that there are not are left out.
func (q *Queue) SubmitNode(ctx context.Context, node string, report NodeReport, entries []v1alpha1.NamespaceStore) error {
	kept := entries[:0:0]
	for _, e := range entries {
		uid := e.NamespaceUID
		if err := q.writer.stampEntry(ctx, node, &e); err != nil {
			return err
		}
		if e.NamespaceUID == uid {
			kept = append(kept, e)
		}
	}
	grade, err := q.writer.gradeReport(ctx, node, &report, kept...)
	if err != nil {
		return err
	}
	return q.queue.Submit(ctx, node, func(p *pending, at coalesce.Times) (coalesce.Order, bool) {
		if p.next == nil {
			p.next, p.wrote = make(map[string]v1alpha1.NamespaceStore), make(map[string]v1alpha1.NamespaceStore)
		}
		for _, e := range kept {
			if wrote, ok := p.wrote[e.Namespace]; ok {
				grade = max(grade, compareEntries(&wrote, &e))
			}
			if waits, ok := p.next[e.Namespace]; ok && waits.NamespaceUID == e.NamespaceUID {
				e.Damaged = joinDamages(e.Damaged, waits.Damaged)
			}
			p.next[e.Namespace] = e
		}
		if grade == nothing && p.node == nil {
			clear(p.next)
			return coalesce.Order{}, false
		}
		p.node = &report
		return coalesce.Order{Due: at.Last.Add(grade.writeInterval()), Awaited: grade == contents}, true
	})
}

func (q *Queue) takeEntries(node string, p *pending) coalesce.Write {
	entries := slices.SortedFunc(maps.Values(p.next), func(a, b v1alpha1.NamespaceStore) int { return cmp.Compare(a.Namespace, b.Namespace) })
	clear(p.next)
	report := p.node
	p.node = nil
	return coalesce.Write{
		Run: func(ctx context.Context) (bool, error) { return q.writer.updateStatus(ctx, node, report, entries) },
		Written: func() {
			for _, e := range entries {
				p.wrote[e.Namespace] = e
			}
		},
	}
}

// Close writes what waits and refuses more.
func (q *Queue) Close() { q.queue.Close() }
