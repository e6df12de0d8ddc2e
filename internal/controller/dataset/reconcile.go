// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/analysis"
	"github.com/kuda-io/kuda/internal/controller/events"
	"github.com/kuda-io/kuda/internal/domain/podstate"
	"github.com/kuda-io/kuda/internal/domain/revision"
	"github.com/kuda-io/kuda/internal/domain/rollout"
	"github.com/kuda-io/kuda/internal/shorten"
)

// What the schema's defaults say, for objects that did not see it.
const (
	defaultHistoryLimit     = 10
	defaultProgressDeadline = 600
)

var errRevisionGone = errors.New("the ControllerRevision is gone and no Data remembers it")

// Analyst takes the measurements of analysis steps, beside the passes.
type Analyst interface {
	Measure(analysis.Key, v1alpha1.AnalysisStep)
	Result(analysis.Key) (analysis.Measurement, bool)
	Forget(types.NamespacedName)
}

// Options of a reconciler.
type Options struct {
	// Client may read from a cache that has the indexes of package assignment.
	Client client.Client
	// Live reads past the cache.
	Live     client.Reader
	Recorder events.Recorder
	Clock    clock.PassiveClock
	Registry prometheus.Registerer
	// Analyst is nil where no measurements are taken; rollouts then wait in
	// analysis steps.
	Analyst Analyst
	// Measured brings the DataSets of which a measurement is complete; nil: none.
	Measured <-chan event.GenericEvent
}

// Reconciler carries out what rollout and revision decide.
type Reconciler struct {
	client    client.Client
	live      client.Reader
	recorder  events.Recorder
	clock     clock.PassiveClock
	metrics   *metrics
	analyst   Analyst
	again     <-chan event.GenericEvent
	told      told
	switching switching
	written   written
}

// New makes a reconciler and registers its metrics.
func New(o Options) (*Reconciler, error) {
	m, err := newMetrics(o.Registry)
	if err != nil {
		return nil, err
	}
	return &Reconciler{
		client: o.Client, live: o.Live, recorder: o.Recorder, clock: o.Clock,
		metrics: m, analyst: o.Analyst, again: o.Measured,
	}, nil
}

// session is one pass over a DataSet.
type session struct {
	set      *v1alpha1.DataSet
	observed *observation
	// update is the revision of the template as it is now.
	update *appsv1.ControllerRevision
	// groups are the values of the topology label, by node.
	groups map[string]string
	plan   rollout.Plan
	// delivering says that the plan is written down and is being carried out.
	delivering bool
	// complete says that all of it was carried out.
	complete bool
	// refusal is the write that was refused, and why; empty: none was.
	refusal string
	now     time.Time
}

// Reconcile makes one pass over a DataSet.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var d v1alpha1.DataSet
	if err := r.client.Get(ctx, request.NamespacedName, &d); err != nil {
		if apierrors.IsNotFound(err) {
			r.forgetDataSet(request.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if r.written.hasNewer(&d) {
		return ctrl.Result{RequeueAfter: retryAfterConflict}, nil
	}
	after, err := r.reconcileDataSet(ctx, &d)
	if apierrors.IsConflict(err) {
		// Another writer was first. That is expected: the change is on its way to the
		// cache, and the next pass sees it.
		ctrl.LoggerFrom(ctx).V(1).Info("planned on an outdated object, planning again", "error", err.Error())
		return ctrl.Result{RequeueAfter: retryAfterConflict}, nil
	}
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		// Nothing can be made there any more, and what is there will go.
		ctrl.LoggerFrom(ctx).V(1).Info("left a namespace alone that is being deleted", "refused", err.Error())
		return ctrl.Result{}, nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: after}, nil
}

// forgetDataSet drops what is remembered of a DataSet that is gone.
func (r *Reconciler) forgetDataSet(key types.NamespacedName) {
	r.switching.forgetDataSet(key)
	r.written.forgetDataSet(key)
	if r.analyst != nil {
		r.analyst.Forget(key)
	}
}

// reconcileDataSet returns after which time to look again; 0: at the next event.
func (r *Reconciler) reconcileDataSet(ctx context.Context, d *v1alpha1.DataSet) (time.Duration, error) {
	if d.DeletionTimestamp != nil {
		return 0, r.finalizeDataSet(ctx, d)
	}
	if err := r.setFinalizer(ctx, d, d.Spec.DeletionPolicy == v1alpha1.DeletionPolicyRemove); err != nil {
		return 0, err
	}
	// Times are kept as the API keeps them, so that they are the same when read.
	s := &session{set: d, now: r.clock.Now().Truncate(time.Microsecond)}
	var err error
	if s.observed, err = r.observeCluster(ctx, d); err != nil {
		return 0, err
	}
	if s.update, err = r.updateRevision(ctx, d, s.observed); err != nil {
		return 0, r.showRefusal(ctx, s, err)
	}
	if s.groups, err = r.nodeGroups(ctx, d, s.observed); err != nil {
		return 0, err
	}
	if err := r.rollOut(ctx, s); err != nil {
		return 0, r.showRefusal(ctx, s, err)
	}
	s.complete = true
	if err := r.publishStatus(ctx, s); err != nil {
		return 0, err
	}
	r.requestMeasurement(d, s.plan.Measure)
	for range r.switching.countSwitched(keyOf(d), s.plan.State, s.observed.live, s.now) {
		r.metrics.switches.Observe(s.now.Sub(s.plan.State.StartTime.Time).Seconds())
	}
	return s.wakeAfter(), r.pruneRevisions(ctx, d, s.observed, d.Status)
}

// rollOut plans and carries out. What a move depends on is written before it:
// how far its revision came, and what was decided of the rollout. A manager
// that dies in between decides the same again.
func (r *Reconciler) rollOut(ctx context.Context, s *session) error {
	d, o, update := s.set, s.observed, s.update.Name
	current := d.Status.CurrentRevision
	if _, ok := revisionTemplate(o, current); !ok && current != "" {
		// Nothing is left of the stable revision, so there is nothing to
		// return to: the update revision takes its place, and this says so.
		ctrl.LoggerFrom(ctx).Info("lost the stable revision, taking the update revision instead", "revision", current, "update", update)
		current = ""
	}
	if state := d.Status.Rollout; state == nil || state.Revision != update {
		if err := r.clearBaselines(ctx, s); err != nil {
			return fmt.Errorf("beginning the rollout of revision %s: %w", update, err)
		}
	}
	in := s.rolloutInput(current)
	in.Measurement = r.finishedMeasurement(d)
	s.plan = rollout.Decide(in)
	for _, name := range []string{s.plan.Current, update} {
		reached := revisionReach(o, name)
		if assignsRevision(o, s.plan, name) {
			reached = max(reached, rollout.Assigned)
		}
		if err := r.recordReach(ctx, o, name, reached); err != nil {
			return err
		}
	}
	if !equality.Semantic.DeepEqual(d.Status.Rollout, &s.plan.State) {
		if err := r.publishStatus(ctx, s); err != nil {
			return err
		}
	}
	s.delivering = true
	if err := r.applyPlan(ctx, s); err != nil {
		return fmt.Errorf("rolling out revision %s: %w", update, err)
	}
	return nil
}

// publishStatus writes the status, and tells of what changed once it is written.
func (r *Reconciler) publishStatus(ctx context.Context, s *session) error {
	d := s.set
	opening, err := r.openingRecord(ctx, s)
	if err != nil {
		return err
	}
	before := d.DeepCopy()
	d.Status = computeStatus(s, opening)
	if err := r.patchStatus(ctx, d, before); err != nil {
		return err
	}
	r.recordEvents(s, before.Status)
	r.metrics.countChange(before.Status, d.Status, s.now)
	return nil
}

// openingRecord returns the record of the rollout that begins with this pass, or nil.
// Who wants it is read past the cache, which keeps no managed fields.
func (r *Reconciler) openingRecord(ctx context.Context, s *session) (*v1alpha1.RolloutRecord, error) {
	d := s.set
	if !beginsRollout(d.Status.Rollout, s.plan.State) && len(d.Status.History) > 0 {
		return nil, nil
	}
	var whole v1alpha1.DataSet
	if err := r.live.Get(ctx, keyOf(d), &whole); err != nil {
		return nil, fmt.Errorf("reading who changed the DataSet: %w", err)
	}
	return &v1alpha1.RolloutRecord{
		Number:      s.update.Revision,
		ChangeCause: shorten.Text(revision.ChangeCause(s.update), maxMessageLength),
		By:          templateAuthor(whole.ManagedFields),
	}, nil
}

// wakeAfter is after which time to look again; 0: at the next event. That a runtime which
// died has lived long enough is no event.
func (s *session) wakeAfter() time.Duration {
	wake := s.plan.Wake
	for _, x := range s.observed.live {
		if after := podstate.Settles(x.pod).Sub(s.now); after > 0 && (wake == 0 || after < wake) {
			wake = after
		}
	}
	return wake
}

func keyOf(d *v1alpha1.DataSet) types.NamespacedName {
	return client.ObjectKeyFromObject(d)
}

// assignsRevision reports whether the plan gives the revision to a pod.
func assignsRevision(o *observation, p rollout.Plan, name string) bool {
	for _, m := range p.Moves {
		if m.Revision == name {
			return true
		}
	}
	if p.New != name {
		return false
	}
	for _, x := range o.live {
		if x.data == nil {
			return true
		}
	}
	return false
}
