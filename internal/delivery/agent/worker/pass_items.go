// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"strings"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/agent/status"
	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
)

// fetchItems gets every item into the store and leases it. It is not ok as long as
// one of them is missing; then it says how long to wait.
func (d *delivery) fetchItems(ctx context.Context) (pause time.Duration, ok bool) {
	f := &fetcher{worker: d.worker, holder: passes, verb: "delivering", arrived: "item is in the store",
		fill: d.assignment.GetFillCache(), client: d}
	f.fetchAll(ctx, d.plan.Items)
	if ctx.Err() != nil {
		return 0, false
	}
	return d.handleResults()
}

// found implements fetchClient, as do the methods below.
func (d *delivery) found(i int) *podstate.Item { return d.plan.Items[i].Have }

func (d *delivery) notFound(i int, have *podstate.Item, err error) {
	d.worker.log.V(1).Info("snapshot is delivered again", "snapshot", have.Snapshot, "reason", err.Error())
	d.worker.updateItem(i, func(s *status.Item) { s.Digest = "" })
}

func (d *delivery) whenAllowed(ctx context.Context, i int, download func(context.Context) result) result {
	d.worker.updateItem(i, (*status.Item).BeginDownload)
	defer d.worker.env.Gate.interruptPrefetches()()
	return download(ctx)
}

func (d *delivery) complete(_ context.Context, i int, r *transfer.Request) {
	w, key := d.worker, d.plan.Items[i].Key
	// What is preheated does not make room for what is only preheated, too.
	r.Urgent = !d.assignment.GetPreheat()
	r.Note = func(text string) { w.log.Info("noticed while delivering", "item", key, "note", text) }
	r.Progress = func(p transfer.Progress) { w.updateProgress(i, p) }
}

func (d *delivery) filled(_ context.Context, i int, c status.CacheFill) {
	d.worker.updateItem(i, func(s *status.Item) {
		s.CacheFill = &c
		if s.Phase == status.PhaseDownloading {
			s.Message = fillMessage(c)
		}
	})
}

// finished shows a failure at once: other items may be on their way for long.
func (d *delivery) finished(ctx context.Context, i int, r result) {
	d.results[i] = r
	if r.err == nil || ctx.Err() != nil {
		return
	}
	w, ip, reason := d.worker, d.plan.Items[i], status.ReasonOf(r.err)
	w.env.Metrics.CountFailure(reason)
	w.log.Info("item failed", "item", ip.Key, "version", ip.Item.GetVersion(), "reason", reason, "error", r.err.Error())
	w.updateItem(i, func(s *status.Item) { s.SetPhase(status.PhaseFailed, reason, r.err.Error()) })
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
		ip := d.plan.Items[i]
		missing = append(missing, string(ip.Key))
		reason := status.ReasonOf(r.err)
		wait := w.pauseAfter(r.err, w.failures[string(ip.Key)])
		w.failures[string(ip.Key)]++
		if pause == 0 || wait < pause {
			pause = wait
		}
		starved = starved || reason == status.ReasonInsufficientSpace && !d.assignment.GetPreheat()
	}
	w.setStarving(starved)
	if len(missing) == 0 {
		// What comes next says it; a restart that finds everything in place says nothing new.
		w.mu.Lock()
		defer w.mu.Unlock()
		for i, r := range d.results {
			w.status.Items[i].SetStored(r.lease, r.origin, r.cache)
		}
		return 0, true
	}
	w.updateStatus(func(s *status.DataSet) {
		for i, r := range d.results {
			item := &s.Items[i]
			if r.err != nil {
				item.SetPhase(status.PhaseFailed, status.ReasonOf(r.err), r.err.Error())
				continue
			}
			item.SetStored(r.lease, r.origin, r.cache)
			item.SetPhase(status.PhaseWaiting, status.ReasonWaiting, "downloaded; waits for "+strings.Join(missing[:min(3, len(missing))], ", ")+
				", because all items switch together")
		}
	})
	return pause, false
}

// setStarving lets go of what is prefetched when the present has no room, and keeps
// prefetches from taking it again before the present has what it needs.
func (w *Worker) setStarving(yes bool) {
	before := w.starving
	w.starving = func() {}
	if yes {
		w.starving = w.env.Gate.interruptPrefetches()
		w.env.MakeWay()
	}
	before()
}

func (w *Worker) updateProgress(i int, p transfer.Progress) {
	w.updateItem(i, func(s *status.Item) {
		if s.KeepsPhase() && !s.HasAdvanced(p) {
			return
		}
		s.Bytes, s.TotalBytes = p.Done, p.Total
		if p.State == transfer.Waiting {
			s.SetPhase(status.PhaseWaiting, status.ReasonSharedDownload, "another pod of the node downloads the same data")
			return
		}
		s.SetPhase(status.PhaseDownloading, status.ReasonDownloading, "")
	})
}
