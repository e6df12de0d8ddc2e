// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"errors"
	"path"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"google.golang.org/protobuf/proto"

	"github.com/kuda-io/kuda/internal/delivery/agent/status"
	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/view"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/source"
)

// errNewer ends a pass because something else is wanted now.
var errNewer = errors.New("a newer desired state has come")

// Worker keeps one DataSet's part of the view equal to its assignment.
type Worker struct {
	env     *Env
	dataset string
	log     logr.Logger

	// Used by the worker's own goroutine only.
	record   *podstate.Record
	checked  bool
	failures map[string]int
	// starving ends the precedence that a pass without room has over prefetches.
	starving func()
	// failedHook is the hook whose failure is shown although it is tried again.
	failedHook string

	leases   *leases
	fills    fills
	prefetch *prefetcher
	// again is sent when what failed is to be tried now.
	again retrySignal
	// viewing is held while the DataSet's part of the view is worked on.
	viewing sync.Mutex

	changed chan struct{}
	// doubted: the next pass compares the view with the snapshots again.
	doubted atomic.Bool
	ctx     context.Context
	stop    context.CancelFunc
	done    chan struct{}

	mu sync.Mutex
	// known are the items of the revisions in the view, by mark.
	known map[string]podstate.Item
	want  *gatewayv1alpha1.Assignment
	// retryToken is that of the newest assignment.
	retryToken string
	// conflict is with a DataSet that comes first and wants a place of want; nil: none.
	conflict *view.PathConflictError
	cancel   context.CancelCauseFunc
	status   status.DataSet
	// data names the assignment that status speaks of; reported is what was said of it last.
	data      string
	withdrawn bool
	reported  *gatewayv1alpha1.ReportRequest
}

// New returns the worker of a DataSet, which ends with ctx. It reads what is remembered,
// and starts nothing.
func New(ctx context.Context, e *Env, dataset string) *Worker {
	w := &Worker{
		env: e, dataset: dataset, log: e.Log.WithValues("dataset", dataset),
		leases: newLeases(e.Store), failures: map[string]int{}, starving: func() {},
		changed: make(chan struct{}, 1), done: make(chan struct{}),
	}
	w.ctx, w.stop = context.WithCancel(ctx)
	r, err := e.Dir.Record(dataset)
	if err != nil {
		w.log.Error(err, "remembered state was not read; everything is checked again")
	}
	w.record = r
	w.status = Retained(dataset, e.View, r)
	w.known = r.ItemsByMark()
	w.prefetch = newPrefetcher(w)
	return w
}

// Retained describes what is in the view without an assignment.
func Retained(dataset string, v View, r *podstate.Record) status.DataSet {
	current, _ := v.Current(dataset)
	d := status.DataSet{Name: dataset, Revision: current, Retained: true}
	for key, have := range r.Revisions[current].Items {
		namespace, name := key.Split()
		d.Items = append(d.Items, status.Item{Namespace: namespace, Name: name, Version: have.Version,
			Path: have.LocalPath, Phase: status.PhaseSuccess, Bytes: have.Bytes, TotalBytes: have.Bytes, Digest: have.Digest,
			Origin: have.Origin, Started: have.Started, Completed: have.Completed, Cache: have.Cache})
	}
	slices.SortFunc(d.Items, func(a, b status.Item) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	return d
}

// CheckSnapshots has what is in the view delivered again as far as a snapshot of it turned
// out to be damaged.
func (w *Worker) CheckSnapshots() {
	if w.leases.isDoubtful() {
		w.log.Info("a snapshot is in doubt; what is in the view is checked again")
		w.doubted.Store(true)
		w.signalChange()
	}
}

// SetAssignment gives the worker its assignment; a different one cancels what runs. What
// is to be prefetched, and a request to try again, have no part in that.
func (w *Worker) SetAssignment(a *gatewayv1alpha1.Assignment, conflict *view.PathConflictError) {
	w.prefetch.setAssignment(w.ctx, a)
	a = proto.CloneOf(a)
	token := a.GetRetryToken()
	a.Prefetch, a.RetryToken = nil, ""
	w.mu.Lock()
	defer w.mu.Unlock()
	w.takeRetryToken(token)
	if w.want != nil && proto.Equal(w.want, a) && reflect.DeepEqual(w.conflict, conflict) {
		return
	}
	w.want, w.conflict = a, conflict
	if w.cancel != nil {
		w.cancel(errNewer)
	}
	w.signalChange()
}

func (w *Worker) signalChange() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// Run does passes until the worker is stopped.
func (w *Worker) Run() {
	ctx := w.ctx
	defer close(w.done)
	defer w.leases.close()
	defer w.prefetch.waitUntilDone()
	defer func() { w.starving() }()
	var last *gatewayv1alpha1.Assignment
	for ctx.Err() == nil {
		passCtx, cancel := context.WithCancelCause(ctx)
		w.mu.Lock()
		a := w.want
		w.cancel = cancel
		select {
		case <-w.changed:
		default:
		}
		w.mu.Unlock()
		if a != last {
			last = a
			clear(w.failures)
			w.failedHook = ""
		}
		again := w.again.next()
		pause := w.guardedPass(passCtx, a)
		cancel(nil)
		if pause == 0 {
			pause, again = forever, nil // nothing failed that another try would help
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-w.changed:
		case <-again:
			clear(w.failures)
		case <-t.C:
		}
		t.Stop()
	}
}

// guardedPass is runPass, in which a panic is a failure of the DataSet's items:
// the other DataSets of the pod, and the application, go on.
func (w *Worker) guardedPass(ctx context.Context, a *gatewayv1alpha1.Assignment) (pause time.Duration) {
	var err error
	func() {
		defer source.Catch("delivering", &err)
		pause = w.runPass(ctx, a)
	}()
	if err == nil {
		return pause
	}
	w.logPanic(err)
	w.updateStatus(func(s *status.DataSet) {
		for i := range s.Items {
			s.Items[i].SetPhase(status.PhaseFailed, status.ReasonOf(err), err.Error())
		}
	})
	return w.pauseUnlessCancelled(ctx, w.recordFailure("", status.ReasonOf(err)))
}

// logPanic logs where a panic came from, if an error is one.
func (w *Worker) logPanic(err error) {
	if fault, ok := errors.AsType[*source.PanicError](err); ok {
		w.log.Error(err, "a fault was caught; report it with this stack", "stack", fault.Stack)
	}
}

// forever is how long a worker sleeps that has nothing to do until something changes.
const forever = 24 * time.Hour

// Stop ends what the worker does; the data stays.
func (w *Worker) Stop() {
	w.stop()
	w.Wait()
	w.log.Info("no longer assigned; the data stays")
}

// Wait returns when the worker has ended.
func (w *Worker) Wait() { <-w.done }

// Data names the assignment that the reports of a worker that has ended speak of.
func (w *Worker) Data() string { return w.data }

// MakeWay lets go of what is prefetched.
func (w *Worker) MakeWay() { w.prefetch.giveWay(w.ctx) }

// findItem returns an item of a revision in the view.
func (w *Worker) findItem(mark string) (podstate.Item, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	have, ok := w.known[mark]
	return have, ok
}

// updateStatus changes the status and notifies its listeners.
func (w *Worker) updateStatus(change func(*status.DataSet)) {
	w.mu.Lock()
	change(&w.status)
	if w.data == "" {
		// Nothing was begun yet that a report could speak of.
		w.mu.Unlock()
		w.env.Changed()
		return
	}
	r := w.status.NewReport(w.data, w.withdrawn)
	urgent := !status.OnlyBytesDiffer(w.reported, r)
	same := !urgent && proto.Equal(w.reported, r)
	w.reported = r
	w.mu.Unlock()
	if same {
		return
	}
	w.env.Report(r, urgent)
	w.env.Changed()
}

// updateItem changes one item's status.
func (w *Worker) updateItem(index int, change func(*status.Item)) {
	w.updateStatus(func(d *status.DataSet) { change(&d.Items[index]) })
}

// Status copies the status.
func (w *Worker) Status() status.DataSet {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.status
	d.Items = slices.Clone(d.Items)
	return d
}

// recordFailure notes a failure and returns how long to wait before the next try.
func (w *Worker) recordFailure(key, reason string) time.Duration {
	d := w.env.Retry(reason, w.failures[key])
	w.failures[key]++
	return d
}

// plan.FindConflicts returns the conflict with a DataSet that comes first. What is in
// the view already is not taken away from a running application.
func (w *Worker) findConflicts(current string, a *gatewayv1alpha1.Assignment) *view.PathConflictError {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.want != a || current == a.GetRevision() {
		return nil
	}
	return w.conflict
}

// Assignment returns what the worker was last given.
func (w *Worker) Assignment() *gatewayv1alpha1.Assignment {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.want
}

// pathMatcher reports whether an item's place is, or is above, a path of the view.
func (d *delivery) pathMatcher(p string) func(local string) bool {
	return func(local string) bool {
		local = path.Clean(strings.Trim(local, "/"))
		return p == local || strings.HasPrefix(p, local+"/") || strings.HasPrefix(local, p+"/")
	}
}
