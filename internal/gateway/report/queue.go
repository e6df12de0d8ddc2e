// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/kuda-io/kuda/internal/gateway/share"
)

// writeTimeout bounds one write with its retries.
const writeTimeout = 20 * time.Second

// rest is how long the time of a Data's last write is remembered.
const rest = 10 * time.Second

// What a pod has to say as a whole is written at once, unless it changes its mind
// all the time.
const (
	urgentPerSecond = 1
	urgentBurst     = 8
)

// Queue writes reports, one at a time per Data, the newest only.
type Queue struct {
	writer *Writer
	// slots bound the writes that are open together.
	slots *share.Pool
	clock clock.WithTicker
	log   logr.Logger
	// observe is told after each write.
	observe func(wrote bool, err error)

	mu      sync.Mutex
	entries map[types.NamespacedName]*entry
	closed  bool
	// oversized are the Data of which it was said that their status does not fit.
	oversized map[types.NamespacedName]bool
	done      sync.WaitGroup
}

// entry is what waits for one Data. While it exists, one goroutine serves it.
type entry struct {
	next *Report
	// due is when next may be written.
	due time.Time
	// waiters want to know how the write of next ended.
	waiters []chan error
	last    time.Time
	// pace bounds the writes that do not wait.
	pace *rate.Limiter
	// poked is sent to when next or due changed.
	poked chan struct{}
}

// NewQueue makes a queue; observe is told after each write.
func NewQueue(w *Writer, slots *share.Pool, passive clock.WithTicker, log logr.Logger, observe func(wrote bool, err error)) *Queue {
	return &Queue{writer: w, slots: slots, clock: passive, log: log, observe: observe, entries: make(map[types.NamespacedName]*entry)}
}

// Submit takes a report. It returns when the report, or a newer one that took
// its place, is written, so that a runtime that got its answer need not repeat
// itself; a report of progress alone is answered at once and may get lost.
func (q *Queue) Submit(ctx context.Context, key types.NamespacedName, r Report) error {
	grade, err := q.writer.gradeReport(ctx, key, r)
	if err != nil {
		return err
	}
	e, written, err := q.scheduleWrite(key, grade, r)
	if e == nil {
		return err
	}
	select {
	case e.poked <- struct{}{}:
	default:
	}
	if written == nil {
		return nil
	}
	select {
	case err := <-written:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// scheduleWrite makes a report the next one of its pod that is written. Without an
// entry nothing is to be written; written is nil when the report need not be waited for.
func (q *Queue) scheduleWrite(key types.NamespacedName, grade change, r Report) (e *entry, written chan error, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, nil, context.Canceled
	}
	e = q.entries[key]
	if grade == nothing && (e == nil || e.next == nil) {
		return nil, nil, nil
	}
	if e == nil {
		e = &entry{pace: rate.NewLimiter(urgentPerSecond, urgentBurst), poked: make(chan struct{}, 1)}
		q.entries[key] = e
		q.done.Go(func() { q.runWriter(key, e) })
	}
	due := e.last.Add(grade.writeInterval())
	if now := q.clock.Now(); grade == whole && !e.pace.AllowN(now, 1) {
		due = now.Add(items.writeInterval())
	}
	if e.next == nil || due.Before(e.due) {
		e.due = due
	}
	e.next = &r
	if grade == whole || grade == items {
		written = make(chan error, 1)
		e.waiters = append(e.waiters, written)
	}
	return e, written, nil
}

// runWriter writes what is due for one Data until nothing has come for a while.
func (q *Queue) runWriter(key types.NamespacedName, e *entry) {
	for {
		q.mu.Lock()
		now := q.clock.Now()
		wait := e.last.Add(rest).Sub(now)
		if e.next != nil {
			wait = e.due.Sub(now)
			if q.closed {
				wait = 0
			}
		}
		if wait <= 0 && e.next == nil || e.next == nil && q.closed {
			delete(q.entries, key)
			q.mu.Unlock()
			return
		}
		if wait > 0 {
			q.mu.Unlock()
			timer := q.clock.NewTimer(wait)
			select {
			case <-timer.C():
			case <-e.poked:
				timer.Stop()
			}
			continue
		}
		r, waiters := *e.next, e.waiters
		e.next, e.waiters = nil, nil
		q.mu.Unlock()

		err := q.writeReport(key, r)
		q.mu.Lock()
		e.last = q.clock.Now()
		q.mu.Unlock()
		for _, w := range waiters {
			w <- err
		}
	}
}

func (q *Queue) writeReport(key types.NamespacedName, r Report) error {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	wrote := false
	slot, err := q.slots.Acquire(ctx, share.Owner{Namespace: key.Namespace, Pod: key.Name}, 1)
	if err == nil {
		defer slot.Release()
		wrote, err = q.writer.updateStatus(ctx, key, r)
	}
	q.observe(wrote, err)
	q.logFailure(key, err)
	return err
}

// maxOversized bounds the memory of Data whose status does not fit.
const maxOversized = 1000

// logFailure logs a write that failed. One that can never succeed is logged once per
// Data, at the default verbosity.
func (q *Queue) logFailure(key types.NamespacedName, err error) {
	tooLarge := isTooLarge(err)
	q.mu.Lock()
	said := q.oversized[key]
	switch {
	case tooLarge && !said && len(q.oversized) < maxOversized:
		if q.oversized == nil {
			q.oversized = make(map[types.NamespacedName]bool)
		}
		q.oversized[key] = true
	case err == nil:
		delete(q.oversized, key)
	}
	q.mu.Unlock()
	switch {
	case tooLarge && !said:
		q.log.Error(err, "a report is too large to be stored with its Data, which stays without it; split the items among several DataSets",
			"data", key)
	case err != nil:
		q.log.V(1).Info("did not write a report", "data", key, "error", err.Error())
	}
}

// isTooLarge reports whether the API server, or etcd, refused an object for its
// size.
func isTooLarge(err error) bool {
	return err != nil && (apierrors.IsRequestEntityTooLargeError(err) ||
		strings.Contains(err.Error(), "request is too large") || strings.Contains(err.Error(), "message larger than max"))
}

// Close writes what waits and refuses more.
func (q *Queue) Close() {
	q.mu.Lock()
	q.closed = true
	for _, e := range q.entries {
		select {
		case e.poked <- struct{}{}:
		default:
		}
	}
	q.mu.Unlock()
	q.done.Wait()
}
