// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/kuda-io/kuda/internal/delivery/agent/status"
	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/view"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// prefetcher has the next revision of one DataSet in the store before the pod is
// told to have it: downloaded, verified, leased, and with a tree beside the view,
// so that nothing is left to do but the switch. It runs no hook, and works only
// when there is nothing to do for the revision that the pod is to have now.
//
// What it fetched outlives the moment in which the revision becomes the one to
// have: a pass then finds it in the record, and takes over the leases.
type prefetcher struct {
	worker *Worker

	mu sync.Mutex
	// want is what is to be fetched, nil for nothing.
	want *gatewayv1alpha1.Prefetch
	// assigned is the revision that the pod is to have; delivered is the last
	// one that it had all of.
	assigned, delivered string
	record              *podstate.Record
	stop                context.CancelFunc
	done                chan struct{}
}

func newPrefetcher(w *Worker) *prefetcher {
	r, err := w.env.Dir.Prefetched(w.dataset)
	if err != nil {
		w.log.Error(err, "what was prefetched is not known; it is looked for again")
	}
	done := make(chan struct{})
	close(done)
	return &prefetcher{worker: w, record: r, stop: func() {}, done: done}
}

// setAssignment takes what an assignment says of prefetching, until ctx ends.
func (f *prefetcher) setAssignment(ctx context.Context, a *gatewayv1alpha1.Assignment) {
	want := a.GetPrefetch()
	if a.GetWithdraw() || want.GetRevision() == a.GetRevision() {
		want = nil
	}
	f.mu.Lock()
	f.assigned = a.GetRevision()
	if a.GetWithdraw() {
		f.delivered = f.assigned
	}
	if want == nil && f.want == nil || proto.Equal(want, f.want) {
		f.pruneRevisions()
		f.mu.Unlock()
		return
	}
	f.want = proto.CloneOf(want)
	f.pruneRevisions()
	f.startFetch(ctx)
	f.mu.Unlock()
	if want == nil {
		f.worker.updateStatus(func(s *status.DataSet) { s.Prefetch = nil })
	}
}

// startFetch makes what is wanted now run instead of what runs. The caller has the lock.
func (f *prefetcher) startFetch(ctx context.Context) {
	f.stop()
	f.stop = func() {}
	if f.want == nil {
		return
	}
	ctx, f.stop = context.WithCancel(ctx)
	before, done := f.done, make(chan struct{})
	f.done = done
	p := f.want
	go func() {
		defer close(done)
		<-before
		f.run(ctx, p)
	}()
}

// waitUntilDone returns when nothing runs any more; the context must have ended.
func (f *prefetcher) waitUntilDone() {
	f.mu.Lock()
	done := f.done
	f.mu.Unlock()
	<-done
}

// markDelivered says that the pod has all of a revision, whose leases the worker
// holds by now.
func (f *prefetcher) markDelivered(revision string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.delivered = revision
	f.pruneRevisions()
}

// giveWay lets go of everything because the present needs the room, and begins
// again when there is some.
func (f *prefetcher) giveWay(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.want == nil {
		return
	}
	delete(f.record.Revisions, f.want.GetRevision())
	f.saveRecord()
	f.startFetch(ctx)
}

// pruneRevisions forgets the revisions that are neither wanted nor about to be delivered.
// The caller has the lock.
func (f *prefetcher) pruneRevisions() {
	before := len(f.record.Revisions)
	keep := []string{f.want.GetRevision()}
	if f.assigned != f.delivered {
		keep = append(keep, f.assigned)
	}
	f.record.KeepRevisions(keep...)
	if len(f.record.Revisions) != before {
		f.saveRecord()
	}
}

// saveRecord remembers the record and holds the leases of what is in it, and no others.
func (f *prefetcher) saveRecord() {
	w := f.worker
	var err error
	if len(f.record.Revisions) > 0 {
		err = f.record.Save()
	} else {
		w.env.View.Unkeep(w.dataset)
		w.env.Tidy()
		err = f.record.Clear()
	}
	if err != nil {
		w.log.Error(err, "what is prefetched was not remembered")
	}
	w.leases.keepOnly(prefetches, f.record.Snapshots())
}

// fetchedItems returns what was fetched, by mark.
func (f *prefetcher) fetchedItems() map[string]podstate.Item {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.record.ItemsByMark()
}

// addItem remembers an item that is in the store and leased, unless it is no longer wanted.
func (f *prefetcher) addItem(p *gatewayv1alpha1.Prefetch, key podstate.ItemKey, item podstate.Item) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.want != p {
		f.saveRecord() // ends the lease
		return
	}
	rev := f.record.Revisions[p.GetRevision()]
	if rev.Items == nil {
		rev.Items = map[podstate.ItemKey]podstate.Item{}
	}
	if rev.Items[key].Snapshot == item.Snapshot && rev.Items[key].Mark == item.Mark {
		return
	}
	rev.Items[key] = item
	f.record.Revisions[p.GetRevision()] = rev
	f.saveRecord()
}

// run fetches until everything is there, or the context ends.
func (f *prefetcher) run(ctx context.Context, p *gatewayv1alpha1.Prefetch) {
	w := f.worker
	t := newPrefetch(f, p)
	if !t.allFetched() {
		t.showStatus(ctx, status.PhaseWaiting, status.ReasonWaiting, "its turn has not come")
	}
	for ctx.Err() == nil {
		again := w.again.next()
		pause, ok := t.tryItems(ctx)
		if ok && t.keepTree(ctx) {
			break
		}
		if !t.waitForRetry(ctx, again, pause) {
			return
		}
	}
	if ctx.Err() != nil {
		return
	}
	t.showStatus(ctx, status.PhaseSuccess, "", "")
	w.log.Info("prefetched", "revision", p.GetRevision(), "items", len(p.GetItems()))
	w.env.Idle()
}

// waitForRetry reports whether there is to be another try, after the pause or when what
// failed is to be tried now; there is none when the context ends.
func (t *prefetch) waitForRetry(ctx context.Context, again <-chan struct{}, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-again:
		for i := range t.states {
			t.states[i].failures = 0
		}
	}
	return true
}

// keepTree builds the revision's tree beside the view. The switch, which may find
// another view, reports that it cannot be built. It reports
// whether there is no more to do; not when the context ended.
func (t *prefetch) keepTree(ctx context.Context) bool {
	w := t.prefetcher.worker
	items := make([]view.Item, 0, len(t.items))
	for i := range t.items {
		items = append(items, viewItem(t.items[i].Item.GetLocalPath(), t.states[i].lease))
	}
	for {
		inner, leave, err := w.env.Gate.enterWhenIdle(ctx)
		if err != nil {
			return false
		}
		w.viewing.Lock()
		err = w.env.View.Keep(inner, w.dataset, t.want.GetRevision(), items)
		w.viewing.Unlock()
		again := wasInterrupted(inner, ctx)
		leave()
		if err == nil {
			t.prefetcher.dropUnusedTree()
			return true
		}
		if !again {
			w.log.V(1).Info("the switch is not prepared", "revision", t.want.GetRevision(), "reason", err.Error())
			return ctx.Err() == nil
		}
	}
}

// dropUnusedTree releases a tree that was finished after it was no longer wanted.
func (f *prefetcher) dropUnusedTree() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.record.Revisions) == 0 {
		f.worker.env.View.Unkeep(f.worker.dataset)
	}
}
