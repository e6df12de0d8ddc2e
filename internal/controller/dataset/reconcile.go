// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/controller/events"
	"github.com/kuda-io/kuda/internal/domain/podstate"
	"github.com/kuda-io/kuda/internal/domain/rollout"
)

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
	client       client.Client
	live         client.Reader
	clock        clock.PassiveClock
	metrics      *metrics
	again        <-chan event.GenericEvent
	announcer    announcer
	revisions    revisions
	measurements measurements
	withdrawer   withdrawer
	switching    switching
	written      written
	checked      checked
	refusals     refusals
	unasked      unasked
}

// New makes a reconciler and registers its metrics.
func New(o Options) (*Reconciler, error) {
	m, err := newMetrics(o.Registry)
	if err != nil {
		return nil, err
	}
	return &Reconciler{
		client: o.Client, live: o.Live, clock: o.Clock,
		metrics: m, again: o.Measured,
		announcer: announcer{recorder: o.Recorder},
		revisions: revisions{o.Client, o.Live}, withdrawer: withdrawer{o.Client, o.Live},
		measurements: measurements{o.Analyst},
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
	// refusedFor is for how long writes have been refused.
	refusedFor time.Duration
	now        time.Time
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
	if isRefusal(err) {
		wait := retryAfter(r.refusals.record(request.NamespacedName, r.clock.Now()))
		ctrl.LoggerFrom(ctx).Error(err, "a write was refused, and is tried again", "after", wait.String())
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	r.refusals.forgetDataSet(request.NamespacedName)
	return ctrl.Result{RequeueAfter: after}, nil
}

// forgetDataSet drops what is remembered of a DataSet that is gone.
func (r *Reconciler) forgetDataSet(key types.NamespacedName) {
	r.switching.forgetDataSet(key)
	r.written.forgetDataSet(key)
	r.checked.forgetDataSet(key)
	r.refusals.forgetDataSet(key)
	r.unasked.replace(key, "", nil)
	r.measurements.forgetDataSet(key)
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
	if s.update, err = r.revisions.updateRevision(ctx, d, s.observed); err != nil {
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
	r.measurements.requestMeasurement(d, s.plan.Measure)
	for range r.switching.countSwitched(keyOf(d), s.plan.State, s.observed.live, s.now) {
		r.metrics.switches.Observe(s.now.Sub(s.plan.State.StartTime.Time).Seconds())
	}
	return s.wakeAfter(), r.revisions.pruneRevisions(ctx, d, s.observed, d.Status)
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
	if after, lacks := s.overdueAfter(); lacks && after > 0 && (wake == 0 || after < wake) {
		wake = after
	}
	return wake
}

func keyOf(d *v1alpha1.DataSet) types.NamespacedName {
	return client.ObjectKeyFromObject(d)
}
