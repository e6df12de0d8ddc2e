// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"context"
	"maps"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
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
	"github.com/kuda-io/kuda/internal/controller/watch"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/domain/podstate"
)

const retryAfterConflict = 20 * time.Millisecond

// firstRetry and lastRetry are the shortest and the longest time after which a pass
// that failed is repeated. A raised quota takes effect soon.
const (
	firstRetry = 5 * time.Millisecond
	lastRetry  = time.Minute
)

// Setup adds the controller to a manager.
func (r *Reconciler) Setup(mgr ctrl.Manager, concurrency int) error {
	b := ctrl.NewControllerManagedBy(mgr).
		Named("dataset").
		For(&v1alpha1.DataSet{}, builder.WithPredicates(dataSetChanged())).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(r.dataSetsOf), builder.WithPredicates(updatesWhere(podstate.Changed))).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(r.rolloutsOf), builder.WithPredicates(healthChanged())).
		Watches(&v1alpha1.Data{}, handler.EnqueueRequestsFromMapFunc(dataSetOf), builder.WithPredicates(updatesWhere(isRelevantChange))).
		Owns(&appsv1.ControllerRevision{}, builder.WithPredicates(watch.Deletions())).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: concurrency,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry),
		})
	if r.again != nil {
		b = b.WatchesRawSource(source.Channel(r.again, &handler.EnqueueRequestForObject{}))
	}
	return b.Complete(r)
}

// dataSetsOf returns the DataSets that select a pod. An update is asked about
// with both its states, so a pod that leaves a DataSet is noticed too.
func (r *Reconciler) dataSetsOf(ctx context.Context, object client.Object) []reconcile.Request {
	return r.requestsForPod(ctx, object, func(*v1alpha1.DataSet) bool { return true })
}

// rolloutsOf returns those of them whose plan looks at how the pod is.
func (r *Reconciler) rolloutsOf(ctx context.Context, object client.Object) []reconcile.Request {
	return r.requestsForPod(ctx, object, watchesHealth)
}

// watchesHealth reports whether the health of pods means something to a DataSet. It does
// not once all pods have the newest template, which is nearly always; an edit
// that no pass has seen yet counts as if it had been seen, so that no change of
// a pod falls between.
func watchesHealth(d *v1alpha1.DataSet) bool {
	state := d.Status.Rollout
	return state == nil || state.Phase != v1alpha1.RolloutCompleted || d.Status.ObservedGeneration != d.Generation
}

func (r *Reconciler) requestsForPod(ctx context.Context, object client.Object, wanted func(*v1alpha1.DataSet) bool) []reconcile.Request {
	p, ok := object.(*corev1.Pod)
	if !ok {
		return nil
	}
	var all v1alpha1.DataSetList
	if err := r.client.List(ctx, &all, client.InNamespace(p.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listed no DataSets for a pod", "pod", client.ObjectKeyFromObject(p))
		return nil
	}
	var requests []reconcile.Request
	for i := range all.Items {
		if d := &all.Items[i]; podstate.Selects(d.Spec.WorkloadSelector, p) && wanted(d) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(d)})
		}
	}
	return requests
}

func dataSetOf(_ context.Context, object client.Object) []reconcile.Request {
	name := object.GetLabels()[v1alpha1.LabelDataSet]
	if name == "" || object.GetLabels()[v1alpha1.LabelPreheat] != "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: object.GetNamespace(), Name: name}}}
}

func dataSetChanged() predicate.Predicate {
	return predicate.Or(predicate.GenerationChangedPredicate{}, predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return !maps.Equal(e.ObjectOld.GetAnnotations(), e.ObjectNew.GetAnnotations()) ||
			len(e.ObjectOld.GetFinalizers()) != len(e.ObjectNew.GetFinalizers()) ||
			(e.ObjectOld.GetDeletionTimestamp() == nil) != (e.ObjectNew.GetDeletionTimestamp() == nil)
	}})
}

// updatesWhere lets all events pass but updates that change nothing that is looked at.
func updatesWhere[T client.Object](changed func(before, after T) bool) predicate.Funcs {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, okBefore := e.ObjectOld.(T)
		after, okAfter := e.ObjectNew.(T)
		return !okBefore || !okAfter || changed(before, after)
	}}
}

// healthChanged is for updates alone: a new pod is looked at whole.
func healthChanged() predicate.Predicate {
	p := updatesWhere(podstate.HealthChanged)
	p.CreateFunc = func(event.CreateEvent) bool { return false }
	p.DeleteFunc = func(event.DeleteEvent) bool { return false }
	p.GenericFunc = func(event.GenericEvent) bool { return false }
	return p
}

// isRelevantChange reports whether Data changed in what the plan or the status depend
// on. Progress does not count: bytes change neither.
func isRelevantChange(before, after *v1alpha1.Data) bool {
	a, b := &before.Status, &after.Status
	return before.UID != after.UID || before.Generation != after.Generation ||
		!equality.Semantic.DeepEqual(before.Spec, after.Spec) ||
		assignment.DataSet(before) != assignment.DataSet(after) ||
		assignment.PodUID(before) != assignment.PodUID(after) ||
		a.DataItems != b.DataItems || a.Success != b.Success || a.Failed != b.Failed ||
		a.ObservedRevision != b.ObservedRevision || a.CurrentRevision != b.CurrentRevision ||
		!equality.Semantic.DeepEqual(assignment.Ready(before), assignment.Ready(after)) ||
		assignment.Failure(before) != assignment.Failure(after) || isRelevantOfItems(before, after)
}

// isRelevantOfItems reports whether Data changed in what the status says of its items, and of
// what it downloads ahead.
func isRelevantOfItems(before, after *v1alpha1.Data) bool {
	a, b := &before.Status, &after.Status
	return credentialsDiffer(before, after) || cachesDiffer(before, after) || !samePrefetch(a.Prefetch, b.Prefetch) ||
		!sameDigests(a.DataItemsStatus, b.DataItemsStatus)
}

// samePrefetch reports whether two statuses are equal but for the bytes.
func samePrefetch(a, b *v1alpha1.PrefetchStatus) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Revision == b.Revision && a.Phase == b.Phase && a.Reason == b.Reason
}

func sameDigests(a, b []v1alpha1.DataItemStatus) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Digest != b[i].Digest {
			return false
		}
	}
	return true
}
