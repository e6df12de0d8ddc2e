// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/agent/plan"
	"github.com/kuda-io/kuda/internal/delivery/agent/status"
	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/view"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// runPass brings the view one assignment further. It returns how long to wait
// before it is tried again, 0 for until something changes.
func (w *Worker) runPass(ctx context.Context, a *gatewayv1alpha1.Assignment) time.Duration {
	if a.GetWithdraw() {
		return w.withdrawItems(a)
	}
	if w.doubted.Swap(false) {
		w.checked = false
	}
	w.record.Preheat = a.GetPreheat()
	w.applyRetryToken()
	current, _ := w.env.View.Current(w.dataset)
	if f := w.record.Failed; f != nil && f.Revision != a.GetRevision() {
		w.record.Failed = nil
		if err := w.record.Save(); err != nil {
			w.log.Error(err, "state was not remembered")
		}
	}
	p := plan.Make(a, plan.Disk{Current: current, Record: w.record, Prefetched: w.prefetch.fetchedItems()})
	w.initStatus(a, p, current)
	if p.Held != nil {
		w.showHeld(p.Held)
		return 0
	}
	d := &delivery{worker: w, assignment: a, plan: p, results: make([]result, len(p.Items)), first: w.record.Hooks[plan.PostID] == ""}
	if c := w.findConflicts(current, a); c != nil {
		return w.pauseUnlessCancelled(ctx, d.publishFailed(c))
	}
	if err := d.preHooks(ctx); err != nil {
		return w.pauseUnlessCancelled(ctx, d.hookFailed(ctx, err))
	}
	if pause, ok := d.fetchItems(ctx); !ok {
		return w.pauseUnlessCancelled(ctx, pause)
	}
	if err := d.publishView(); err != nil {
		return w.pauseUnlessCancelled(ctx, d.publishFailed(err))
	}
	w.env.Verified(w.dataset)
	if err := d.postHooks(ctx); err != nil {
		return w.pauseUnlessCancelled(ctx, d.hookFailed(ctx, err))
	}
	if err := d.completeRevision(); err != nil {
		return w.recordFailure("", status.ReasonStoreFailed)
	}
	return 0
}

// pauseUnlessCancelled is what a pass ends with that did not get to its end: a pass that was
// cancelled does not wait, because the change it was cancelled for is there.
func (w *Worker) pauseUnlessCancelled(ctx context.Context, pause time.Duration) time.Duration {
	if ctx.Err() != nil {
		return 0
	}
	return pause
}

// initStatus makes the status speak of the assignment.
func (w *Worker) initStatus(a *gatewayv1alpha1.Assignment, p plan.Plan, current string) {
	w.mu.Lock()
	resumed := w.data == a.GetData() && w.status.DesiredRevision == a.GetRevision() && len(w.status.Items) == len(p.Items)
	old := w.status.Items
	w.data, w.withdrawn = a.GetData(), false
	w.status = status.DataSet{Name: w.dataset, Revision: current, DesiredRevision: a.GetRevision(), Prefetch: w.status.Prefetch,
		Credentials: w.env.Sources.Mounts.Check(a.GetSources())}
	now := time.Now()
	for i, ip := range p.Items {
		item := status.Item{Namespace: ip.Item.GetNamespace(), Name: ip.Item.GetName(), Version: ip.Item.GetVersion(),
			Path: ip.Item.GetLocalPath(), Started: now}
		item.SetPhase(status.PhaseWaiting, status.ReasonWaiting, "its turn has not come")
		if have := ip.Have; have != nil {
			item.Bytes, item.TotalBytes, item.Digest, item.Origin = have.Bytes, have.Bytes, have.Digest, have.Origin
			item.Started, item.Cache = have.Started, have.Cache
			if p.IsUpToDate() {
				item.SetPhase(status.PhaseSuccess, "", "")
				item.Completed = have.Completed
			}
		}
		// A failure stays visible until the next try has got further.
		if resumed && old[i].Name == item.Name && old[i].Namespace == item.Namespace && old[i].Version == item.Version {
			item = old[i]
		}
		w.status.Items = append(w.status.Items, item)
	}
	w.mu.Unlock()
	w.env.Changed()
}

// showHeld shows a revision that is not tried again.
func (w *Worker) showHeld(f *podstate.FailedRevision) {
	w.updateStatus(func(d *status.DataSet) {
		for i := range d.Items {
			d.Items[i].SetPhase(status.PhaseWaiting, status.ReasonWaiting, "the revision is held back because a hook failed")
		}
		d.ShowFailure(f)
	})
}

// withdrawItems takes the items out of the view.
func (w *Worker) withdrawItems(a *gatewayv1alpha1.Assignment) time.Duration {
	w.viewing.Lock()
	err := w.env.View.Remove(w.dataset)
	w.viewing.Unlock()
	if err == nil {
		err = w.record.Clear()
	}
	w.leases.close()
	w.mu.Lock()
	w.known = nil
	w.data, w.withdrawn = a.GetData(), err == nil
	w.status = status.DataSet{Name: w.dataset, DesiredRevision: a.GetRevision()}
	w.mu.Unlock()
	if err != nil {
		w.log.Error(err, "items were not withdrawn; trying again")
		return w.recordFailure("", status.ReasonStoreFailed)
	}
	w.updateStatus(func(*status.DataSet) {})
	w.log.Info("items withdrawn")
	w.env.Tidy()
	return 0
}

// delivery is one pass on its way.
type delivery struct {
	worker     *Worker
	assignment *gatewayv1alpha1.Assignment
	plan       plan.Plan
	results    []result
	// first: no revision has been delivered to the end yet, so the application
	// may still be starting.
	first bool
}

// publishView switches the view to the items, which all are in the store.
func (d *delivery) publishView() error {
	w, v := d.worker, d.worker.env.View
	if d.plan.Switches {
		defer w.env.Gate.interruptPrefetches()()
	}
	w.viewing.Lock()
	defer w.viewing.Unlock()
	items := d.viewItems()
	if (!w.checked || d.hasRedelivered()) && !d.plan.Switches {
		if err := v.Check(w.dataset, items); err != nil {
			w.log.Info("view is damaged and is built again", "reason", err.Error())
			v.Suspect(w.dataset)
			d.plan.Switches = true
		}
	}
	w.checked = true
	if !d.plan.Switches {
		return nil
	}
	started := time.Now()
	revision := d.assignment.GetRevision()
	if err := v.Prepare(w.dataset, revision, items); err != nil {
		return err
	}
	move := v.Switch
	if d.replacesUnconfirmed(revision) {
		move = v.Replace
	}
	w.record.Revisions[revision] = d.newRevision()
	if err := w.record.Save(); err != nil {
		return err
	}
	if err := move(w.dataset, revision); err != nil {
		return err
	}
	w.env.Metrics.ObserveSwitch(time.Since(started))
	w.updateStatus(func(s *status.DataSet) { s.Revision = revision })
	w.log.Info("view switched", "revision", revision, "items", len(items), "took", time.Since(started).String())
	w.env.Tidy()
	return nil
}

// hasRedelivered reports whether an item was delivered that the view has already: its
// snapshot was damaged, or gone, and the view may have the files of that one.
func (d *delivery) hasRedelivered() bool {
	return slices.ContainsFunc(d.results, func(r result) bool { return r.origin != "" })
}

// replacesUnconfirmed reports whether the current revision is none to go back to while
// there is another: its hooks were never done, or it is damaged.
func (d *delivery) replacesUnconfirmed(revision string) bool {
	w := d.worker
	current, _ := w.env.View.Current(w.dataset)
	previous, ok := w.env.View.Previous(w.dataset)
	return ok && previous != revision && (current == revision || !w.record.Revisions[current].Confirmed)
}

func (d *delivery) viewItems() []view.Item {
	out := make([]view.Item, 0, len(d.plan.Items))
	for i, ip := range d.plan.Items {
		out = append(out, viewItem(ip.Item.GetLocalPath(), d.results[i].lease))
	}
	return out
}

// viewItem is a snapshot at its place in the view.
func viewItem(localPath string, lease *store.Lease) view.Item {
	m := lease.Contents()
	item := view.Item{LocalPath: localPath, Mark: string(lease.ID()) + " " + m.Digest, Dir: lease.Dir(), Single: m.File}
	item.Files = make([]view.File, 0, m.Packed.Len())
	for e := range m.All() {
		item.Files = append(item.Files, view.File{Path: e.Path, Link: e.Link, Size: e.Size})
	}
	return item
}

func (d *delivery) newRevision() podstate.Revision {
	status := d.worker.Status()
	r := podstate.Revision{Items: map[podstate.ItemKey]podstate.Item{}}
	for i, ip := range d.plan.Items {
		lease := d.results[i].lease
		s := status.Items[i]
		r.Items[ip.Key] = podstate.Item{LocalPath: ip.Item.GetLocalPath(), Version: ip.Item.GetVersion(), Mark: ip.Mark, Way: ip.Way,
			Snapshot: lease.ID(), Digest: lease.Digest(), Bytes: lease.Bytes(), Origin: s.Origin,
			Started: s.Started, Completed: s.Completed, Cache: s.Cache}
	}
	return r
}

// publishFailed shows why the view did not move, at the item that it is about
// or, when it is about none, at all of them.
func (d *delivery) publishFailed(err error) time.Duration {
	w := d.worker
	reason := status.ReasonOf(err)
	blamed := func(string) bool { return true }
	if c, ok := errors.AsType[*view.PathConflictError](err); ok {
		blamed = d.pathMatcher(c.Path)
	}
	w.log.Info("view was not switched", "revision", d.assignment.GetRevision(), "reason", err.Error())
	w.updateStatus(func(s *status.DataSet) {
		for i := range s.Items {
			if blamed(s.Items[i].Path) {
				s.Items[i].SetPhase(status.PhaseFailed, reason, err.Error())
			} else {
				s.Items[i].SetPhase(status.PhaseWaiting, status.ReasonWaiting, "waits for the other items, because all switch together")
			}
		}
	})
	return w.recordFailure("", reason)
}

// completeRevision is the end of a delivery: verified, switched, hooks done.
func (d *delivery) completeRevision() error {
	w, revision := d.worker, d.assignment.GetRevision()
	now := time.Now()
	previous, _ := w.env.View.Previous(w.dataset)
	rec := d.newRevision()
	for _, ip := range d.plan.Items {
		item := rec.Items[ip.Key]
		item.Completed = now
		if have := ip.Have; have != nil && !have.Completed.IsZero() && have.LocalPath == item.LocalPath {
			item.Completed = have.Completed
		}
		rec.Items[ip.Key] = item
	}
	rec.Confirmed = true
	w.record.Revisions[revision] = rec
	w.record.KeepRevisions(revision, previous)
	w.record.Hooks = d.plan.Notices
	if err := w.record.Save(); err != nil {
		w.log.Error(err, "delivery was not remembered")
		return fmt.Errorf("completing revision %s: %w", revision, err)
	}
	if d.assignment.GetPreheat() {
		// Before it is reported: the pod may be gone right after that.
		if err := w.env.Pods.KeepPreheated(w.dataset, revision, rec.Items); err != nil {
			w.log.Error(err, "what is preheated was not remembered")
			return fmt.Errorf("completing revision %s: %w", revision, err)
		}
	}
	w.keepLeases()
	clear(w.failures)
	w.updateStatus(func(s *status.DataSet) {
		for i, ip := range d.plan.Items {
			have := rec.Items[ip.Key]
			s.Items[i].SetPhase(status.PhaseSuccess, "", "")
			s.Items[i].Bytes, s.Items[i].TotalBytes, s.Items[i].Digest = have.Bytes, have.Bytes, have.Digest
			s.Items[i].Completed = have.Completed
		}
	})
	w.log.Info("delivered", "revision", revision, "items", len(d.plan.Items))
	w.prefetch.markDelivered(revision)
	w.env.Tidy()
	w.env.Idle()
	return nil
}

// keepLeases holds leases of what is in the current and the previous revision,
// and of nothing else.
func (w *Worker) keepLeases() {
	w.leases.keepOnly(passes, w.record.Snapshots())
	w.mu.Lock()
	defer w.mu.Unlock()
	w.known = w.record.ItemsByMark()
}
