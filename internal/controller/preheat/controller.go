// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package preheat

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
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

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/fieldindex"
)

// FieldPreheatPods finds, within a namespace, the pods that preheat for a DataSet
// by its name.
const FieldPreheatPods = "kuda.preheat"

// AddIndexes makes the field known to a cache. It must run before the cache starts.
func AddIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	if err := indexer.IndexField(ctx, &corev1.Pod{}, FieldPreheatPods, ByPreheat); err != nil {
		return fmt.Errorf("indexing pods by %s: %w", FieldPreheatPods, err)
	}
	return nil
}

// ByPreheat is the function behind the field.
func ByPreheat(object client.Object) []string {
	if name := object.GetLabels()[v1alpha1.LabelPreheat]; name != "" {
		return []string{name}
	}
	return nil
}

// Setup adds the controller to a manager. Switched off, it looks at DataSets
// alone, and needs no right beyond those.
func (r *Reconciler) Setup(mgr ctrl.Manager, concurrency int) error {
	b := ctrl.NewControllerManagedBy(mgr).
		Named("preheat").
		For(&v1alpha1.DataSet{}, builder.WithPredicates(dataSetChanged())).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(ofLabel), builder.WithPredicates(labelPredicate())).
		WithOptions(controller.Options{MaxConcurrentReconciles: concurrency})
	if !r.off {
		b = b.Watches(&v1alpha1.Data{}, handler.EnqueueRequestsFromMapFunc(ofLabel), builder.WithPredicates(labelPredicate(), dataChanged())).
			Watches(&corev1.Node{}, gatherRequests(r.requestsForAll), builder.WithPredicates(nodeChanged())).
			Watches(&v1alpha1.NodeStore{}, gatherRequests(r.ofStores))
	}
	return b.Complete(r)
}

// gatherTime is how long changes of nodes and of what they hold are gathered for one pass.
// A pass looks at all nodes, and while data is preheated each of them changes: with a pass
// per change the cost would grow with the square of the nodes.
const gatherTime = 500 * time.Millisecond

// gatherRequests enqueues the requests of an object, and of both states of one that was
// updated, after gatherTime; those that are enqueued meanwhile are the same ones.
func gatherRequests(of handler.MapFunc) handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	add := func(ctx context.Context, object client.Object, q queue) {
		for _, request := range of(ctx, object) {
			q.AddAfter(request, gatherTime)
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { add(ctx, e.Object, q) },
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { add(ctx, e.Object, q) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			add(ctx, e.ObjectOld, q)
			add(ctx, e.ObjectNew, q)
		},
	}
}

func ofLabel(_ context.Context, object client.Object) []reconcile.Request {
	name := object.GetLabels()[v1alpha1.LabelPreheat]
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: object.GetNamespace(), Name: name}}}
}

// requestsForAll returns the DataSets that preheat.
func (r *Reconciler) requestsForAll(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.requestsWhere(ctx, func(string) bool { return true })
}

// ofStores returns those whose namespaces have a store on the node. An update is
// asked about with both its states.
func (r *Reconciler) ofStores(ctx context.Context, object client.Object) []reconcile.Request {
	s, ok := object.(*v1alpha1.NodeStore)
	if !ok {
		return nil
	}
	namespaces := make(map[string]bool, len(s.Status.Stores))
	for i := range s.Status.Stores {
		namespaces[s.Status.Stores[i].Namespace] = true
	}
	return r.requestsWhere(ctx, func(namespace string) bool { return namespaces[namespace] })
}

func (r *Reconciler) requestsWhere(ctx context.Context, in func(namespace string) bool) []reconcile.Request {
	var all v1alpha1.DataSetList
	preheating := client.MatchingFields{fieldindex.Preheating: fieldindex.Yes}
	if err := r.client.List(ctx, &all, preheating, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listed no DataSets")
		return nil
	}
	var requests []reconcile.Request
	for i := range all.Items {
		if d := &all.Items[i]; d.Spec.Preheat != nil && in(d.Namespace) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(d)})
		}
	}
	return requests
}

// dataSetChanged lets pass what changes the revision that new pods get, too.
func dataSetChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, okBefore := e.ObjectOld.(*v1alpha1.DataSet)
		after, okAfter := e.ObjectNew.(*v1alpha1.DataSet)
		if !okBefore || !okAfter {
			return true
		}
		a, b := &before.Status, &after.Status
		return before.Generation != after.Generation || before.UID != after.UID ||
			(before.DeletionTimestamp == nil) != (after.DeletionTimestamp == nil) ||
			a.ObservedGeneration != b.ObservedGeneration || a.CurrentRevision != b.CurrentRevision || a.UpdateRevision != b.UpdateRevision ||
			phaseOf(a.Rollout) != phaseOf(b.Rollout) ||
			before.Annotations[v1alpha1.AnnotationRolloutRequest] != after.Annotations[v1alpha1.AnnotationRolloutRequest]
	}}
}

func phaseOf(r *v1alpha1.RolloutStatus) v1alpha1.RolloutPhase {
	if r == nil {
		return ""
	}
	return r.Phase
}

// labelPredicate lets pass what has the label, or had it.
func labelPredicate() predicate.Predicate {
	has := func(object client.Object) bool { return object.GetLabels()[v1alpha1.LabelPreheat] != "" }
	p := predicate.NewPredicateFuncs(has)
	p.UpdateFunc = func(e event.UpdateEvent) bool { return has(e.ObjectOld) || has(e.ObjectNew) }
	return p
}

// dataChanged lets progress pass by.
func dataChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, okBefore := e.ObjectOld.(*v1alpha1.Data)
		after, okAfter := e.ObjectNew.(*v1alpha1.Data)
		return !okBefore || !okAfter || assignment.PodUID(before) != assignment.PodUID(after) ||
			!deliveryOf(before).equal(*deliveryOf(after))
	}}
}

// nodeChanged lets heartbeats pass by.
func nodeChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, okBefore := e.ObjectOld.(*corev1.Node)
		after, okAfter := e.ObjectNew.(*corev1.Node)
		return !okBefore || !okAfter || before.UID != after.UID || before.Status.NodeInfo.BootID != after.Status.NodeInfo.BootID ||
			!nodeOf(before, nil, "", nil).equalExceptStore(nodeOf(after, nil, "", nil))
	}}
}
