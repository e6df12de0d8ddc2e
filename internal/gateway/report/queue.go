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
	"k8s.io/utils/clock"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/gateway/coalesce"
	"github.com/kuda-io/kuda/internal/gateway/share"
)

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
	clock  clock.PassiveClock
	queue  *coalesce.Queue[Subject, pending]
	log    logr.Logger

	mu sync.Mutex
	// oversized are the Data of which it was said that their status does not fit.
	oversized map[Subject]bool
}

// pending is what waits for one Data.
type pending struct {
	next *Report
	// last is the Data as it was last written: the cache may not show it yet, and a write
	// that begins from an older version is refused.
	last *v1alpha1.Data
	// pace bounds the writes that do not wait.
	pace *rate.Limiter
}

// NewQueue makes a queue; observe is told after each write.
func NewQueue(w *Writer, slots *share.Pool, ticking clock.WithTicker, log logr.Logger, observe func(wrote bool, err error)) *Queue {
	q := &Queue{writer: w, clock: ticking, log: log}
	q.queue = coalesce.New(coalesce.Options[Subject, pending]{
		Slots: slots, Clock: ticking, Rest: rest, Take: q.takeReport,
		Owner: func(about Subject) share.Owner {
			return share.Owner{Namespace: about.Namespace, Pod: about.Name}
		},
		Observe: func(about Subject, wrote bool, err error) {
			observe(wrote, err)
			q.logFailure(about, err)
		},
	})
	return q
}

// Submit takes a report. It returns when the report, or a newer one that took
// its place, is written, so that a runtime that got its answer need not repeat
// itself; a report of progress alone is answered at once and may get lost.
func (q *Queue) Submit(ctx context.Context, about Subject, r Report) error {
	grade, err := q.writer.gradeReport(ctx, about, r)
	if err != nil {
		return err
	}
	return q.queue.Submit(ctx, about, func(p *pending, at coalesce.Times) (coalesce.Order, bool) {
		if grade == nothing && !at.Waiting {
			return coalesce.Order{}, false
		}
		if p.pace == nil {
			p.pace = rate.NewLimiter(urgentPerSecond, urgentBurst)
		}
		p.next = &r
		due := at.Last.Add(grade.writeInterval())
		if now := q.clock.Now(); grade == whole && !p.pace.AllowN(now, 1) {
			due = now.Add(items.writeInterval())
		}
		return coalesce.Order{Due: due, Awaited: grade == whole || grade == items}, true
	})
}

func (q *Queue) takeReport(about Subject, p *pending) coalesce.Write {
	r, last := *p.next, p.last
	p.next = nil
	var written *v1alpha1.Data
	return coalesce.Write{
		Run: func(ctx context.Context) (bool, error) {
			var err error
			written, err = q.writer.updateStatus(ctx, about, r, last)
			return written != nil, err
		},
		Written: func() {
			if written != nil {
				p.last = written
			}
		},
	}
}

// Close writes what waits and refuses more.
func (q *Queue) Close() { q.queue.Close() }

// maxOversized bounds the memory of Data whose status does not fit.
const maxOversized = 1000

// logFailure logs a write that failed. One that can never succeed is logged once per
// Data, at the default verbosity.
func (q *Queue) logFailure(about Subject, err error) {
	tooLarge := isTooLarge(err)
	q.mu.Lock()
	said := q.oversized[about]
	switch {
	case tooLarge && !said && len(q.oversized) < maxOversized:
		if q.oversized == nil {
			q.oversized = make(map[Subject]bool)
		}
		q.oversized[about] = true
	case err == nil:
		delete(q.oversized, about)
	}
	q.mu.Unlock()
	switch {
	case tooLarge && !said:
		q.log.Error(err, "a report is too large to be stored with its Data, which stays without it; split the items among several DataSets",
			"data", about.NamespacedName)
	case err != nil:
		q.log.V(1).Info("did not write a report", "data", about.NamespacedName, "error", err.Error())
	}
}

// isTooLarge reports whether the API server, or etcd, refused an object for its
// size.
func isTooLarge(err error) bool {
	return err != nil && (apierrors.IsRequestEntityTooLargeError(err) ||
		strings.Contains(err.Error(), "request is too large") || strings.Contains(err.Error(), "message larger than max"))
}
