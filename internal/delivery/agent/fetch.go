// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"strings"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
	"github.com/kuda-io/kuda/internal/source"
)

// fetchItems gets every item into the store and leases it. It is not ok as long as
// one of them is missing; then it says how long to wait.
func (d *delivery) fetchItems(ctx context.Context) (pause time.Duration, ok bool) {
	f := &fetcher{worker: d.worker, holder: passes, verb: "delivering", arrived: "item is in the store", client: d}
	f.fetchAll(ctx, d.plan.items)
	if ctx.Err() != nil {
		return 0, false
	}
	return d.handleResults()
}

// found implements fetchClient, as do the methods below.
func (d *delivery) found(i int) *podstate.Item { return d.plan.items[i].have }

func (d *delivery) notFound(i int, have *podstate.Item, err error) {
	d.worker.log.V(1).Info("snapshot is delivered again", "snapshot", have.Snapshot, "reason", err.Error())
	d.worker.updateItem(i, func(s *Item) { s.Digest = "" })
}

func (d *delivery) whenAllowed(ctx context.Context, i int, download func(context.Context) result) result {
	d.worker.updateItem(i, (*Item).beginDownload)
	defer d.worker.agent.gate.interruptPrefetches()()
	return download(ctx)
}

func (d *delivery) complete(_ context.Context, i int, r *transfer.Request) {
	w, key := d.worker, d.plan.items[i].key
	// What is preheated does not make room for what is only preheated, too.
	r.Urgent = !d.assignment.GetPreheat()
	r.Note = func(text string) { w.log.Info("noticed while delivering", "item", key, "note", text) }
	r.Progress = func(p transfer.Progress) { w.updateProgress(i, p) }
}

func (d *delivery) finished(_ context.Context, i int, r result) { d.results[i] = r }

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
