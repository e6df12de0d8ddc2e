// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package data

import (
	"context"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/controller/events"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/domain/authority"
	"github.com/kuda-io/kuda/internal/domain/podstate"
	"github.com/kuda-io/kuda/internal/fieldindex"
)

// Attendance reports whether the gateway hears the runtime of a pod, and if it is known
// that it does not, since when. A zero time with heard false: it is not known.
type Attendance interface {
	Look(pod types.UID) (heard bool, since time.Time)
}

// Options of a reconciler. All are needed but Attendance, Changed and Authority.
type Options struct {
	// Client may read from a cache that has the indexes of package assignment.
	Client client.Client
	// Live reads past the cache.
	Live     client.Reader
	Recorder events.Recorder
	Clock    clock.PassiveClock
	// Attendance is nil where it is unknown which pods are heard: a runtime is then taken for
	// one that is.
	Attendance Attendance
	// Changed brings Data of which Attendance says another thing than before.
	Changed <-chan event.GenericEvent
	// Authority returns the certificates (PEM) that runtimes are to trust now; nil where they
	// are not known.
	Authority func() []byte
}

// Reconciler carries out what decideAction returns.
type Reconciler struct {
	client client.Client
	// live reads past the cache.
	live       client.Reader
	recorder   events.Recorder
	clock      clock.PassiveClock
	attendance Attendance
	changed    <-chan event.GenericEvent
	authority  func() []byte
	memory     memory
	deliveries waves
	// assignments say since when a report is owed.
	assignments assignments
}

// New makes a reconciler.
func New(o Options) *Reconciler {
	return &Reconciler{client: o.Client, live: o.Live, recorder: o.Recorder, clock: o.Clock, attendance: o.Attendance, changed: o.Changed,
		authority: o.Authority, deliveries: waves{recorder: o.Recorder}}
}

// Setup adds the controller to a manager.
func (r *Reconciler) Setup(mgr ctrl.Manager, concurrency int) error {
	b := ctrl.NewControllerManagedBy(mgr).
		Named("data").
		For(&v1alpha1.Data{}, builder.WithPredicates(r.eventPredicate())).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(r.ofPod), builder.WithPredicates(podChanged())).
		Watches(&v1alpha1.DataSet{}, handler.EnqueueRequestsFromMapFunc(r.ofDataSet), builder.WithPredicates(selectorChanged())).
		WithOptions(controller.Options{MaxConcurrentReconciles: concurrency})
	if r.changed != nil {
		b = b.WatchesRawSource(source.Channel(r.changed, &handler.EnqueueRequestForObject{}))
	}
	return b.Complete(r)
}

// Reconcile looks at one Data.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var d v1alpha1.Data
	if err := r.client.Get(ctx, request.NamespacedName, &d); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if d.DeletionTimestamp != nil {
		return ctrl.Result{}, nil
	}
	step, err := r.readAndDecide(ctx, r.client, &d)
	if err == nil && (step.remove != "" || step.withdraw != "") {
		// A cache may be behind: what is not in it yet is not gone.
		step, err = r.readAndDecide(ctx, r.live, &d)
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	switch {
	case step.remove != "":
		return ctrl.Result{}, r.deleteData(ctx, &d, step.remove)
	case step.withdraw != "":
		return ctrl.Result{}, r.requestWithdrawal(ctx, &d, step.withdraw)
	case step.ready != nil:
		before := d.DeepCopy()
		setCondition(&d.Status, *step.ready)
		patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
		err := r.client.Status().Patch(ctx, &d, patch)
		if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
			return ctrl.Result{}, nil // a report came first, and with it another event
		}
		if err != nil {
			return ctrl.Result{}, fmt.Errorf("updating status: %w", err)
		}
	}
	return ctrl.Result{RequeueAfter: step.after}, nil
}

func (r *Reconciler) readAndDecide(ctx context.Context, reader client.Reader, d *v1alpha1.Data) (decision, error) {
	var p corev1.Pod
	var set v1alpha1.DataSet
	havePod, err := isFound(reader.Get(ctx, types.NamespacedName{Namespace: d.Namespace, Name: d.Spec.PodName}, &p))
	if err != nil {
		return decision{}, fmt.Errorf("reading pod %s: %w", d.Spec.PodName, err)
	}
	haveSet, err := isFound(reader.Get(ctx, types.NamespacedName{Namespace: d.Namespace, Name: assignment.DataSet(d)}, &set))
	if err != nil {
		return decision{}, fmt.Errorf("reading DataSet %s: %w", assignment.DataSet(d), err)
	}
	f := facts{data: d, set: orNil(&set, haveSet), pod: orNil(&p, havePod), now: r.clock.Now()}
	f.assigned, f.down = r.assignments.trackAssignment(d, havePod && podstate.Stopped(&p), f.now)
	f.heard = true
	if r.attendance != nil {
		f.heard, f.unheard = r.attendance.Look(assignment.PodUID(d))
	}
	if r.authority != nil && havePod {
		f.replaced = authority.IsReplaced(podstate.Authority(&p), authority.Describe(r.authority()), f.now)
	}
	return decideAction(f), nil
}

func isFound(err error) (bool, error) {
	return err == nil, client.IgnoreNotFound(err)
}

func orNil[T any](object *T, exists bool) *T {
	if exists {
		return object
	}
	return nil
}

func (r *Reconciler) deleteData(ctx context.Context, d *v1alpha1.Data, why string) error {
	if err := r.client.Delete(ctx, d, client.Preconditions{UID: &d.UID}); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting Data: %w", err)
	}
	ctrl.LoggerFrom(ctx).V(1).Info("deleted Data", "because", why)
	return nil
}

// requestWithdrawal asks the runtime to take the items out of the pod's view.
func (r *Reconciler) requestWithdrawal(ctx context.Context, d *v1alpha1.Data, why string) error {
	before := d.DeepCopy()
	d.Spec.Withdraw = true
	if err := r.client.Patch(ctx, d, client.MergeFromWithOptions(before,
		client.MergeFromWithOptimisticLock{})); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("updating Data: %w", err)
	}
	ctrl.LoggerFrom(ctx).V(1).Info("asked a runtime to take the items out", "because", why)
	return nil
}

// eventPredicate passes every change on and turns it into events on the way. Here is
// where the state before a change is known; by the time of a pass it is gone.
func (r *Reconciler) eventPredicate() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool {
			if d, ok := e.Object.(*v1alpha1.Data); ok {
				r.memory.recordState(d)
			}
			return true
		},
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, okBefore := e.ObjectOld.(*v1alpha1.Data)
			after, okAfter := e.ObjectNew.(*v1alpha1.Data)
			if !okBefore || !okAfter {
				return true
			}
			if before.UID != after.UID {
				// Another pod's Data has the name of one whose deletion the watch did not show.
				r.forgetData(before.UID)
				r.memory.recordState(after)
				return true
			}
			for _, n := range r.memory.failureNews(before, after) {
				r.recorder.Eventf(podOf(after), after, n.kind, n.reason, actionDeliver, "%s", n.note)
			}
			if isNewlyDelivered(before, after) {
				r.deliveries.addDelivery(after)
			}
			return !assignment.Current(after) || after.Spec.Withdraw || !maps.Equal(before.Labels, after.Labels)
		},
		DeleteFunc: func(e event.DeleteEvent) bool {
			r.forgetData(e.Object.GetUID())
			return true
		},
	}
}

// forgetData drops what is remembered of a Data that is gone.
func (r *Reconciler) forgetData(uid types.UID) {
	r.memory.forgetData(uid)
	r.assignments.forgetData(uid)
}

func podChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, okBefore := e.ObjectOld.(*corev1.Pod)
		after, okAfter := e.ObjectNew.(*corev1.Pod)
		return !okBefore || !okAfter || podstate.Changed(before, after) || podstate.Stopped(before) != podstate.Stopped(after)
	}, CreateFunc: func(event.CreateEvent) bool { return false }}
}

func selectorChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, okBefore := e.ObjectOld.(*v1alpha1.DataSet)
		after, okAfter := e.ObjectNew.(*v1alpha1.DataSet)
		return !okBefore || !okAfter || !maps.Equal(before.Spec.WorkloadSelector, after.Spec.WorkloadSelector) ||
			before.Spec.DeletionPolicy != after.Spec.DeletionPolicy
	}, CreateFunc: func(event.CreateEvent) bool { return false }}
}

func (r *Reconciler) ofPod(ctx context.Context, object client.Object) []reconcile.Request {
	return r.requestsByField(ctx, object.GetNamespace(), fieldindex.PodUID, string(object.GetUID()))
}

func (r *Reconciler) ofDataSet(ctx context.Context, object client.Object) []reconcile.Request {
	return append(r.requestsByField(ctx, object.GetNamespace(), fieldindex.DataSet, object.GetName()),
		r.requestsByField(ctx, object.GetNamespace(), fieldindex.Preheat, object.GetName())...)
}

func (r *Reconciler) requestsByField(ctx context.Context, namespace, field, value string) []reconcile.Request {
	var datas v1alpha1.DataList
	if err := r.client.List(ctx, &datas, client.InNamespace(namespace), client.MatchingFields{field: value},
		client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listed no Data", "field", field, "value", value)
		return nil
	}
	requests := make([]reconcile.Request, 0, len(datas.Items))
	for i := range datas.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&datas.Items[i])})
	}
	return requests
}
