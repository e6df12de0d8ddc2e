// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/agent/plan"
	"github.com/kuda-io/kuda/internal/delivery/agent/status"
	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// prefetch is the way of one revision into the store.
type prefetch struct {
	prefetcher *prefetcher
	want       *gatewayv1alpha1.Prefetch
	items      []plan.Item
	started    time.Time

	mu     sync.Mutex
	states []prefetchState // of the items
}

// prefetchState is how far one item is.
type prefetchState struct {
	lease    *store.Lease
	err      error
	failures int
	// problem is why the last try failed, as long as none has got further.
	problem     *problem
	bytes, size int64
	waiting     bool // for another pod's download
}

// problem is what is said of a failure.
type problem struct {
	reason, message string
	bytes           int64
}

func newPrefetch(f *prefetcher, p *gatewayv1alpha1.Prefetch) *prefetch {
	items := plan.ItemsOf(p.GetItems(), p.GetSources())
	return &prefetch{prefetcher: f, want: p, items: items, started: time.Now(), states: make([]prefetchState, len(items))}
}

// tryItems gets every item into the store, or says how long to wait before the next try.
func (t *prefetch) tryItems(ctx context.Context) (pause time.Duration, ok bool) {
	w := t.prefetcher.worker
	f := &fetcher{worker: w, holder: prefetches, verb: "prefetching", arrived: "item is in the store for later",
		fill: t.want.GetFillCache(), client: t}
	f.fetchAll(ctx, t.items)
	if ctx.Err() != nil {
		return 0, false
	}
	for i := range t.states {
		state := &t.states[i]
		if state.err == nil {
			continue
		}
		wait := w.pauseAfter(state.err, state.failures)
		state.failures++
		if pause == 0 || wait < pause {
			pause = wait
		}
	}
	return pause, pause == 0
}

// found implements fetchClient, as do the methods below. It looks for an item that some
// revision of the DataSet had or has.
func (t *prefetch) found(i int) *podstate.Item {
	ip := &t.items[i]
	if have, ok := t.prefetcher.fetchedItems()[ip.Mark]; ok && have.IsOf(ip.Mark, ip.Way) {
		return &have
	}
	if have, ok := t.prefetcher.worker.findItem(ip.Mark); ok && have.IsOf(ip.Mark, ip.Way) {
		return &have
	}
	return nil
}

func (t *prefetch) notFound(int, *podstate.Item, error) {}

func (t *prefetch) whenAllowed(ctx context.Context, _ int, download func(context.Context) result) result {
	for {
		inner, leave, err := t.prefetcher.worker.env.Gate.enterWhenIdle(ctx)
		if err != nil {
			return result{err: err}
		}
		r := download(inner)
		again := r.err != nil && wasInterrupted(inner, ctx)
		leave()
		if !again {
			return r
		}
		t.showStatus(ctx, status.PhaseWaiting, status.ReasonWaiting, "waits for what the pod is to have now")
	}
}

func (t *prefetch) complete(ctx context.Context, i int, r *transfer.Request) {
	r.Progress = func(p transfer.Progress) { t.updateProgress(ctx, i, p) }
}

func (t *prefetch) filled(ctx context.Context, _ int, c status.CacheFill) {
	t.showStatus(ctx, status.PhaseDownloading, status.ReasonDownloading, fillMessage(c))
}

func (t *prefetch) finished(ctx context.Context, i int, r result) {
	ip := &t.items[i]
	if r.err == nil {
		origin, use := r.origin, r.cache
		if r.have != nil {
			origin, use = r.have.Origin, r.have.Cache
		}
		t.prefetcher.addItem(t.want, ip.Key, podstate.Item{LocalPath: ip.Item.GetLocalPath(), Version: ip.Item.GetVersion(),
			Mark: ip.Mark, Way: ip.Way,
			Snapshot: r.lease.ID(), Digest: r.lease.Digest(), Bytes: r.lease.Bytes(), Origin: origin, Started: t.started, Cache: use})
		if r.have == nil {
			t.updateProgress(ctx, i, transfer.Progress{Done: r.lease.Bytes(), Total: r.lease.Bytes(), Received: r.received})
		}
	}
	if ctx.Err() != nil {
		return
	}
	w, state := t.prefetcher.worker, &t.states[i]
	t.mu.Lock()
	state.lease, state.err, state.waiting = r.lease, r.err, false
	if r.err == nil {
		state.problem, state.bytes, state.size = nil, r.lease.Bytes(), r.lease.Bytes()
		t.mu.Unlock()
		return
	}
	reason := status.ReasonOf(r.err)
	state.problem = &problem{reason: reason, message: "item " + string(ip.Key) + ": " + r.err.Error(), bytes: state.bytes}
	t.mu.Unlock()
	t.showStatus(ctx, status.PhaseFailed, "", "")
	w.env.Metrics.CountFailure(reason)
	w.log.Info("item was not prefetched", "item", ip.Key, "revision", t.want.GetRevision(), "reason", reason, "error", r.err.Error())
}

// updateProgress takes how far an item is.
func (t *prefetch) updateProgress(ctx context.Context, i int, p transfer.Progress) {
	t.mu.Lock()
	state := &t.states[i]
	state.bytes, state.size, state.waiting = p.Done, p.Total, p.State == transfer.Waiting
	if f := state.problem; f != nil && p.Received > 0 && p.Done > f.bytes && !status.OutlastsDownload(f.reason) {
		state.problem = nil
	}
	waiting := slices.ContainsFunc(t.states, func(s prefetchState) bool { return s.waiting })
	t.mu.Unlock()
	if waiting {
		t.showStatus(ctx, status.PhaseWaiting, status.ReasonSharedDownload, "another pod of the node downloads the same data")
		return
	}
	t.showStatus(ctx, status.PhaseDownloading, status.ReasonDownloading, "")
}

// showStatus says how it goes, unless something else is wanted by now. A problem of
// an item comes before everything else.
func (t *prefetch) showStatus(ctx context.Context, phase, reason, message string) {
	s := &status.Prefetch{Revision: t.want.GetRevision(), Phase: phase, Reason: reason, Message: message}
	t.mu.Lock()
	for i := len(t.states) - 1; i >= 0; i-- {
		state := &t.states[i]
		s.Bytes += state.bytes
		s.TotalBytes += state.size
		if state.problem != nil {
			s.Phase, s.Reason, s.Message = status.PhaseFailed, state.problem.reason, state.problem.message
		}
	}
	t.mu.Unlock()
	t.prefetcher.worker.updateStatus(func(d *status.DataSet) {
		if ctx.Err() == nil {
			d.Prefetch = s
		}
	})
}

// allFetched reports whether all items were fetched before.
func (t *prefetch) allFetched() bool {
	have := t.prefetcher.fetchedItems()
	return !slices.ContainsFunc(t.items, func(i plan.Item) bool { known, ok := have[i.Mark]; return !ok || !known.IsOf(i.Mark, i.Way) })
}
