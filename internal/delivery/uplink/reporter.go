// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package uplink

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/go-logr/logr"

	"github.com/kuda-io/kuda/internal/backoff"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// progressInterval is the shortest time between two reports of an assignment
// of which the second says nothing new but bytes.
const progressInterval = time.Second

// settleTime is how long it is left unsaid that work has begun. What is done
// within it is said once, which spares the API server half of its writes when a
// small change reaches thousands of pods at the same time.
const settleTime = 150 * time.Millisecond

// Reporter sends the newest report of each assignment.
type Reporter struct {
	send func(context.Context, *gatewayv1alpha1.ReportRequest) error
	log  logr.Logger

	wake chan struct{}
	mu   sync.Mutex
	slot map[string]*slot
}

// slot is what is known of one assignment.
type slot struct {
	newest *gatewayv1alpha1.ReportRequest
	// dirty: newest was not sent. urgent: it must not wait.
	dirty, urgent bool
	// begun is since when newest is about work under way, said by no report yet.
	begun     time.Time
	sent      time.Time
	failures  int
	notBefore time.Time
}

// NewReporter returns a Reporter that sends with send, such as Client.Report.
func NewReporter(send func(context.Context, *gatewayv1alpha1.ReportRequest) error, log logr.Logger) *Reporter {
	return &Reporter{send: send, log: log, wake: make(chan struct{}, 1), slot: map[string]*slot{}}
}

// Put replaces what is to be said of an assignment. The request must not
// change afterwards. Urgent: more than bytes has changed.
func (r *Reporter) Put(req *gatewayv1alpha1.ReportRequest, urgent bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.slot[req.GetData()]
	if s == nil {
		s = &slot{}
		r.slot[req.GetData()] = s
	}
	switch {
	case !underWay(req):
		s.begun = time.Time{}
	case urgent && !s.urgent:
		s.begun = time.Now()
	}
	s.newest, s.dirty, s.urgent = req, true, s.urgent || urgent
	r.signalChange()
}

// underWay reports whether a report is about work that may soon be done, and nothing
// in it has come to an end.
func underWay(req *gatewayv1alpha1.ReportRequest) bool {
	if req.GetWithdrawn() || req.GetPrefetch() != nil {
		return false
	}
	open := false
	for _, item := range req.GetItems() {
		switch item.GetPhase() {
		case gatewayv1alpha1.Phase_PHASE_FAILED:
			return false
		case gatewayv1alpha1.Phase_PHASE_SUCCESS:
		default:
			open = true
		}
	}
	return open
}

// Forget drops an assignment that is no longer the pod's.
func (r *Reporter) Forget(data string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.slot, data)
}

// Resend reports everything again, because the gateway that listens now may not have
// received it.
func (r *Reporter) Resend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.slot {
		s.dirty, s.urgent, s.failures, s.notBefore = true, true, 0, time.Time{}
	}
	r.signalChange()
}

func (r *Reporter) signalChange() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run sends until the context ends.
func (r *Reporter) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		case <-timer.C:
		}
		for {
			req, wait := r.nextReport(time.Now())
			if req == nil {
				timer.Reset(wait)
				break
			}
			r.recordSent(req, r.send(ctx, req))
			if ctx.Err() != nil {
				return
			}
		}
	}
}

// idle is how long Run sleeps when nothing is to be said; Put wakes it.
const idle = time.Hour

// nextReport returns a report whose time has come, or how long until there is one.
func (r *Reporter) nextReport(now time.Time) (*gatewayv1alpha1.ReportRequest, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait := idle
	for _, s := range r.slot {
		if !s.dirty {
			continue
		}
		due := s.notBefore
		if !s.urgent && s.sent.Add(progressInterval).After(due) {
			due = s.sent.Add(progressInterval)
		}
		if s.urgent && s.begun.Add(settleTime).After(due) {
			due = s.begun.Add(settleTime)
		}
		if !due.After(now) {
			return s.newest, 0
		}
		wait = min(wait, due.Sub(now))
	}
	return nil, wait
}

// recordSent notes how sending went. What was put meanwhile stays to be sent.
func (r *Reporter) recordSent(req *gatewayv1alpha1.ReportRequest, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.slot[req.GetData()]
	if s == nil {
		return
	}
	s.sent = time.Now()
	if err != nil && !isFinal(err) {
		s.notBefore = s.sent.Add(sendPause(s.failures))
		s.failures++
		r.log.V(1).Info("report was not taken", "data", req.GetData(), "reason", err.Error())
		return
	}
	if err != nil {
		r.log.Info("report was refused", "data", req.GetData(), "reason", err.Error())
	}
	s.failures, s.notBefore = 0, time.Time{}
	if s.newest == req {
		s.dirty, s.urgent, s.begun = false, false, time.Time{}
	}
}

// Pauses before a report is sent again. What keeps one from being written is mostly
// that many are, so the pauses grow faster than those of a stream; a stream that is
// there again ends them.
const firstSendPause, maxSendPause = time.Second, 20 * time.Second

func sendPause(failures int) time.Duration {
	limit := backoff.Doubled(firstSendPause, maxSendPause, failures)
	return limit/2 + rand.N(limit/2)
}

// isFinal reports whether the same report would be refused again.
func isFinal(err error) bool {
	switch connect.CodeOf(err) {
	case connect.CodeNotFound, connect.CodePermissionDenied, connect.CodeInvalidArgument, connect.CodeAborted:
		return true
	default:
		return false
	}
}
