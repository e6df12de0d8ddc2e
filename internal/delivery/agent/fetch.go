// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/sourceconfig"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
	"github.com/kuda-io/kuda/internal/source"
)

// parallelItems is how many items are fetched at the same time; how many
// connections that makes is the engine's matter.
const parallelItems = 4

// fetchItems gets every item into the store and leases it. It is not ok as long as
// one of them is missing; then it says how long to wait.
func (d *delivery) fetchItems(ctx context.Context) (pause time.Duration, ok bool) {
	sources := d.worker.agent.sources.NewSet()
	defer sources.Close()
	tokens := make(chan struct{}, parallelItems)
	var wg sync.WaitGroup
	for i := range d.plan.items {
		wg.Go(func() {
			select {
			case tokens <- struct{}{}:
			case <-ctx.Done():
				d.results[i].err = context.Cause(ctx)
				return
			}
			defer func() { <-tokens }()
			d.results[i] = d.fetchGuarded(ctx, i, sources)
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return 0, false
	}
	return d.handleResults()
}

// handleResults shows what came of it.
func (d *delivery) handleResults() (pause time.Duration, ok bool) {
	w := d.worker
	var missing []string
	starved := false
	for i, r := range d.results {
		if r.err == nil {
			continue
		}
		ip := d.plan.items[i]
		missing = append(missing, string(ip.key))
		reason := reasonOf(r.err)
		wait := max(w.recordFailure(string(ip.key), reason), source.RetryAfter(r.err))
		if pause == 0 || wait < pause {
			pause = wait
		}
		w.agent.metrics.countFailure(reason)
		starved = starved || reason == reasonInsufficientSpace && !d.assignment.GetPreheat()
		w.log.Info("item failed", "item", ip.key, "version", ip.item.GetVersion(), "reason", reason, "error", r.err.Error())
	}
	w.setStarving(starved)
	if len(missing) == 0 {
		// What comes next says it; a restart that finds everything in place says nothing new.
		w.mu.Lock()
		defer w.mu.Unlock()
		for i, r := range d.results {
			w.status.Items[i].setResult(r)
		}
		return 0, true
	}
	w.updateStatus(func(s *DataSet) {
		for i, r := range d.results {
			item := &s.Items[i]
			if r.err != nil {
				item.setPhase(phaseFailed, reasonOf(r.err), r.err.Error())
				continue
			}
			item.setResult(r)
			item.setPhase(phaseWaiting, reasonWaiting, "downloaded; waits for "+strings.Join(missing[:min(3, len(missing))], ", ")+
				", because all items switch together")
		}
	})
	return pause, false
}

// setStarving lets go of what is prefetched when the present has no room, and keeps
// prefetches from taking it again before the present has what it needs.
func (w *worker) setStarving(yes bool) {
	before := w.starving
	w.starving = func() {}
	if yes {
		w.starving = w.agent.gate.interruptPrefetches()
		w.agent.giveWay()
	}
	before()
}

// setResult takes over what is known once an item is in the store. A later try finds
// it there, which is not where it came from.
func (i *Item) setResult(r result) {
	if r.origin != "" && i.Digest == "" {
		i.Origin = r.origin
	}
	i.Bytes, i.TotalBytes, i.Digest = r.lease.Bytes(), r.lease.Bytes(), r.lease.Digest()
}

// fetchGuarded is fetchItem, in which a panic is a failure of that item.
func (d *delivery) fetchGuarded(ctx context.Context, i int, sources *sourceconfig.Set) (r result) {
	defer func() {
		if r.err != nil {
			d.worker.logPanic(r.err)
		}
	}()
	defer source.Catch("delivering "+string(d.plan.items[i].key), &r.err)
	return d.fetchItem(ctx, i, sources)
}

// fetchItem returns a lease of one item's snapshot.
func (d *delivery) fetchItem(ctx context.Context, i int, sources *sourceconfig.Set) result {
	w, ip := d.worker, d.plan.items[i]
	if ip.have != nil {
		l, err := w.leases.reuseLease(ctx, ip.have.Snapshot, passes)
		if err == nil {
			w.agent.markSnapshot(l.ID(), ip.mark)
			return result{lease: l}
		}
		w.log.V(1).Info("snapshot is delivered again", "snapshot", ip.have.Snapshot, "reason", err.Error())
		w.updateItem(i, func(s *Item) { s.Digest = "" })
	}
	w.updateItem(i, (*Item).beginDownload)
	defer w.agent.gate.interruptPrefetches()()
	src, err := sources.Open(ctx, ip.source)
	if err != nil {
		return result{err: err}
	}
	started := time.Now()
	r, err := sourceconfig.NewRequest(ctx, w.agent.store, ip.item, src, func(p transfer.Progress) { w.updateProgress(i, p) })
	if err != nil {
		return result{err: err}
	}
	// What is preheated does not make room for what is only preheated, too.
	r.Urgent = !d.assignment.GetPreheat()
	r.Note = func(text string) { w.log.Info("noticed while delivering", "item", ip.key, "note", text) }
	res, err := w.agent.deliverItem(ctx, r, ip.mark)
	if err != nil {
		return result{err: err}
	}
	origin := originSource
	if res.Origin == transfer.OriginNode {
		origin = originNode
	}
	w.log.V(1).Info("item is in the store", "item", ip.key, "version", ip.item.GetVersion(), "origin", origin,
		"received", res.Received, "reused", res.Reused, "took", time.Since(started).String())
	return result{lease: w.leases.holdLease(res.Lease, passes), origin: origin}
}

// deliverItem brings an item into the store, under its mark, and counts what comes
// from the source, also of a try that fails.
func (a *Agent) deliverItem(ctx context.Context, r transfer.Request, mark string) (*transfer.Result, error) {
	// Before there is a byte: who looks for the mark learns of the download.
	a.markSnapshot(r.Key.ID(), mark)
	var received int64
	progress := r.Progress
	r.Progress = func(p transfer.Progress) {
		received = max(received, p.Received)
		progress(p)
	}
	res, err := a.engine.Deliver(ctx, r)
	if err == nil {
		received = res.Received
		a.markSnapshot(res.Lease.ID(), mark) // an eviction may have taken it since
	}
	a.metrics.countReceived(received)
	return res, err
}

// markSnapshot says what an item calls a snapshot's bytes. Without it pods are not placed
// by them, but the delivery goes on.
func (a *Agent) markSnapshot(id snapshot.ID, mark string) {
	if err := a.store.Mark(id, mark); err != nil {
		a.log.V(1).Info("placement does not know of the data here", "snapshot", id, "reason", err.Error())
	}
}

func (w *worker) updateProgress(i int, p transfer.Progress) {
	w.updateItem(i, func(s *Item) {
		if s.keepsPhase() && !s.hasAdvanced(p) {
			return
		}
		s.Bytes, s.TotalBytes = p.Done, p.Total
		if p.State == transfer.Waiting {
			s.setPhase(phaseWaiting, reasonSharedDownload, "another pod of the node downloads the same data")
			return
		}
		s.setPhase(phaseDownloading, reasonDownloading, "")
	})
}
