// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package nodestore

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/controller/watch"
	"github.com/kuda-io/kuda/internal/placement/index"
)

// Reconciler carries out what decideAction returns.
type Reconciler struct {
	client client.Client
	// live reads past the cache.
	live client.Reader
}

// New makes a reconciler. Reads of c may come from a cache; reads of live must not.
func New(c client.Client, live client.Reader) *Reconciler { return &Reconciler{client: c, live: live} }

// Setup adds the controller to a manager.
func (r *Reconciler) Setup(mgr ctrl.Manager, concurrency int) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("nodestore").
		For(&v1alpha1.NodeStore{}).
		Watches(&corev1.Node{}, &handler.EnqueueRequestForObject{}, builder.WithPredicates(watch.NodesBack())).
		Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.ofNamespace), builder.OnlyMetadata,
			builder.WithPredicates(watch.Deletions())).
		WithOptions(controller.Options{MaxConcurrentReconciles: concurrency, NeedLeaderElection: new(false)}).
		Complete(r)
}

// Reconcile looks at one NodeStore.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var s v1alpha1.NodeStore
	if err := r.client.Get(ctx, request.NamespacedName, &s); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if s.DeletionTimestamp != nil {
		return ctrl.Result{}, nil
	}
	d, err := readAndDecide(ctx, r.client, &s)
	if err == nil && !d.isEmpty() {
		// A cache may be behind: what is not in it yet is not gone.
		d, err = readAndDecide(ctx, r.live, &s)
	}
	if err != nil || d.isEmpty() {
		return ctrl.Result{}, err
	}
	if d.remove != "" {
		return ctrl.Result{}, r.deleteNodeStore(ctx, &s, d.remove)
	}
	before := s.DeepCopy()
	s.Status = d.remainingStatus(s.Status)
	err = r.client.Status().Patch(ctx, &s, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return ctrl.Result{}, nil // a report came first, and with it another event
	}
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("updating status: %w", err)
	}
	log := ctrl.LoggerFrom(ctx)
	for namespace, why := range d.drop {
		log.V(1).Info("dropped what a node was said to hold", "store", namespace, "because", why)
	}
	return ctrl.Result{}, nil
}

// readAndDecide reads what a NodeStore is judged by.
func readAndDecide(ctx context.Context, reader client.Reader, s *v1alpha1.NodeStore) (decision, error) {
	var node *index.Node
	var n corev1.Node
	switch err := reader.Get(ctx, types.NamespacedName{Name: s.Name}, &n); {
	case err == nil:
		of := index.NodeOf(&n)
		node = &of
	case !apierrors.IsNotFound(err):
		return decision{}, fmt.Errorf("reading node %s: %w", s.Name, err)
	}
	uids := map[string]types.UID{}
	for i := range s.Status.Stores {
		name := s.Status.Stores[i].Namespace
		found := namespaceMetadata()
		switch err := reader.Get(ctx, types.NamespacedName{Name: name}, found); {
		case err == nil:
			uids[name] = found.UID
		case !apierrors.IsNotFound(err):
			return decision{}, fmt.Errorf("reading namespace %s: %w", name, err)
		}
	}
	return decideAction(s, node, uids), nil
}

// namespaceMetadata is what namespaces are read into: their names and UIDs are enough.
func namespaceMetadata() *metav1.PartialObjectMetadata {
	n := &metav1.PartialObjectMetadata{}
	n.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	return n
}

func (r *Reconciler) deleteNodeStore(ctx context.Context, s *v1alpha1.NodeStore, why string) error {
	if err := r.client.Delete(ctx, s, client.Preconditions{UID: &s.UID}); err != nil {
		if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
			return nil // it has been replaced, and with it comes another event
		}
		return fmt.Errorf("deleting NodeStore: %w", err)
	}
	ctrl.LoggerFrom(ctx).Info("deleted NodeStore", "because", why)
	return nil
}

// ofNamespace returns the NodeStores that have an entry of a namespace.
func (r *Reconciler) ofNamespace(ctx context.Context, object client.Object) []reconcile.Request {
	var stores v1alpha1.NodeStoreList
	if err := r.client.List(ctx, &stores, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listed no NodeStores", "namespace", object.GetName())
		return nil
	}
	var requests []reconcile.Request
	for i := range stores.Items {
		for j := range stores.Items[i].Status.Stores {
			if stores.Items[i].Status.Stores[j].Namespace == object.GetName() {
				requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Name: stores.Items[i].Name}})
				break
			}
		}
	}
	return requests
}
