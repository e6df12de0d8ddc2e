// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/sourceconfig"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
	"github.com/kuda-io/kuda/internal/domain/item"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/source"
)

// fetch is the way of one revision into the store.
type fetch struct {
	prefetcher *prefetcher
	want       *gatewayv1alpha1.Prefetch
	sources    map[string]*gatewayv1alpha1.Source
	started    time.Time

	mu    sync.Mutex
	items []fetchItem
}

// fetchItem is one item of it.
type fetchItem struct {
	item  *gatewayv1alpha1.Item
	key   podstate.ItemKey
	mark  string
	way   string
	lease *store.Lease

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

func newFetch(f *prefetcher, p *gatewayv1alpha1.Prefetch) *fetch {
	t := &fetch{prefetcher: f, want: p, sources: map[string]*gatewayv1alpha1.Source{}, started: time.Now()}
	for _, s := range p.GetSources() {
		t.sources[s.GetName()] = s
	}
	for _, i := range p.GetItems() {
		s := t.sources[i.GetSource()]
		t.items = append(t.items, fetchItem{item: i, key: podstate.KeyOf(i.GetNamespace(), i.GetName()), mark: item.Mark(i, s), way: sourceconfig.WayMark(s)})
	}
	return t
}

// tryItems gets every item into the store, or says how long to wait before the next try.
func (t *fetch) tryItems(ctx context.Context) (pause time.Duration, ok bool) {
	w := t.prefetcher.worker
	sources := w.agent.sources.NewSet()
	defer sources.Close()
	tokens := make(chan struct{}, parallelItems)
	var wg sync.WaitGroup
	for i := range t.items {
		wg.Go(func() {
			tokens <- struct{}{}
			defer func() { <-tokens }()
			lease, err := t.fetchGuarded(ctx, i, sources)
			t.recordResult(ctx, i, lease, err)
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return 0, false
	}
	for i := range t.items {
		item := &t.items[i]
		if item.err == nil {
			continue
		}
		wait := max(w.agent.retry(reasonOf(item.err), item.failures), source.RetryAfter(item.err))
		item.failures++
		if pause == 0 || wait < pause {
			pause = wait
		}
	}
	return pause, pause == 0
}

// recordResult takes what came of trying an item.
func (t *fetch) recordResult(ctx context.Context, i int, lease *store.Lease, err error) {
	w, item := t.prefetcher.worker, &t.items[i]
	if ctx.Err() != nil {
		return
	}
	t.mu.Lock()
	item.lease, item.err, item.waiting = lease, err, false
	if err == nil {
		item.problem, item.bytes, item.size = nil, lease.Bytes(), lease.Bytes()
		t.mu.Unlock()
		return
	}
	reason := reasonOf(err)
	item.problem = &problem{reason: reason, message: "item " + string(item.key) + ": " + err.Error(), bytes: item.bytes}
	t.mu.Unlock()
	t.showStatus(ctx, phaseFailed, "", "")
	w.agent.metrics.countFailure(reason)
	w.log.Info("item was not prefetched", "item", item.key, "revision", t.want.GetRevision(), "reason", reason, "error", err.Error())
}

// fetchGuarded is fetchLease, in which a panic is a failure of that item.
func (t *fetch) fetchGuarded(ctx context.Context, i int, sources *sourceconfig.Set) (lease *store.Lease, err error) {
	defer source.Catch("prefetching "+string(t.items[i].key), &err)
	return t.fetchLease(ctx, i, sources)
}

// fetchLease returns a lease of one item's snapshot.
func (t *fetch) fetchLease(ctx context.Context, i int, sources *sourceconfig.Set) (*store.Lease, error) {
	item, w := &t.items[i], t.prefetcher.worker
	if lease := t.leaseExisting(ctx, item); lease != nil {
		return lease, nil
	}
	for {
		inner, leave, err := w.agent.gate.enterWhenIdle(ctx)
		if err != nil {
			return nil, err
		}
		lease, err := t.downloadItem(inner, i, sources)
		again := err != nil && wasInterrupted(inner, ctx)
		leave()
		if !again {
			return lease, err
		}
		t.showStatus(ctx, phaseWaiting, reasonWaiting, "waits for what the pod is to have now")
	}
}

// leaseExisting returns a lease of an item that some revision of the DataSet had or has.
func (t *fetch) leaseExisting(ctx context.Context, item *fetchItem) *store.Lease {
	f, w := t.prefetcher, t.prefetcher.worker
	have, ok := f.fetchedItems()[item.mark]
	if !ok || !have.IsOf(item.mark, item.way) {
		have, ok = w.findItem(item.mark)
	}
	if !ok || !have.IsOf(item.mark, item.way) {
		return nil
	}
	lease, err := w.leases.reuseLease(ctx, have.Snapshot, prefetches)
	if err != nil {
		return nil
	}
	w.agent.markSnapshot(lease.ID(), item.mark)
	t.recordItem(item, lease, have.Origin)
	return lease
}

func (t *fetch) downloadItem(ctx context.Context, i int, sources *sourceconfig.Set) (*store.Lease, error) {
	item, w := &t.items[i], t.prefetcher.worker
	src, err := sources.Open(ctx, t.sources[item.item.GetSource()])
	if err != nil {
		return nil, err
	}
	started := time.Now()
	r, err := sourceconfig.NewRequest(ctx, w.agent.store, item.item, src, func(p transfer.Progress) { t.updateProgress(ctx, i, p) })
	if err != nil {
		return nil, err
	}
	res, err := w.agent.deliverItem(ctx, r, item.mark)
	if err != nil {
		return nil, err
	}
	origin := originSource
	if res.Origin == transfer.OriginNode {
		origin = originNode
	}
	w.log.V(1).Info("item is in the store for later", "item", item.key, "version", item.item.GetVersion(), "origin", origin,
		"received", res.Received, "reused", res.Reused, "took", time.Since(started).String())
	lease := w.leases.holdLease(res.Lease, prefetches)
	t.recordItem(item, lease, origin)
	t.updateProgress(ctx, i, transfer.Progress{Done: lease.Bytes(), Total: lease.Bytes(), Received: res.Received})
	return lease, nil
}

func (t *fetch) recordItem(item *fetchItem, lease *store.Lease, origin string) {
	t.prefetcher.addItem(t.want, item.key, podstate.Item{LocalPath: item.item.GetLocalPath(), Version: item.item.GetVersion(), Mark: item.mark, Way: item.way,
		Snapshot: lease.ID(), Digest: lease.Digest(), Bytes: lease.Bytes(), Origin: origin, Started: t.started})
}

// updateProgress takes how far an item is.
func (t *fetch) updateProgress(ctx context.Context, i int, p transfer.Progress) {
	t.mu.Lock()
	item := &t.items[i]
	item.bytes, item.size, item.waiting = p.Done, p.Total, p.State == transfer.Waiting
	if f := item.problem; f != nil && p.Received > 0 && p.Done > f.bytes && !outlastsDownload(f.reason) {
		item.problem = nil
	}
	waiting := slices.ContainsFunc(t.items, func(i fetchItem) bool { return i.waiting })
	t.mu.Unlock()
	if waiting {
		t.showStatus(ctx, phaseWaiting, reasonSharedDownload, "another pod of the node downloads the same data")
		return
	}
	t.showStatus(ctx, phaseDownloading, reasonDownloading, "")
}

// showStatus says how it goes, unless something else is wanted by now. A problem of
// an item comes before everything else.
func (t *fetch) showStatus(ctx context.Context, phase, reason, message string) {
	s := &Prefetch{Revision: t.want.GetRevision(), Phase: phase, Reason: reason, Message: message}
	t.mu.Lock()
	for i := len(t.items) - 1; i >= 0; i-- {
		item := &t.items[i]
		s.Bytes += item.bytes
		s.TotalBytes += item.size
		if item.problem != nil {
			s.Phase, s.Reason, s.Message = phaseFailed, item.problem.reason, item.problem.message
		}
	}
	t.mu.Unlock()
	t.prefetcher.worker.updateStatus(func(d *DataSet) {
		if ctx.Err() == nil {
			d.Prefetch = s
		}
	})
}

// allFetched reports whether all items were fetched before.
func (t *fetch) allFetched() bool {
	have := t.prefetcher.fetchedItems()
	return !slices.ContainsFunc(t.items, func(i fetchItem) bool { known, ok := have[i.mark]; return !ok || !known.IsOf(i.mark, i.way) })
}
