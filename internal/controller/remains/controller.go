// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package remains

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/controller/events"
	"github.com/kuda-io/kuda/internal/controller/watch"
	"github.com/kuda-io/kuda/internal/placement/index"
)

// Options of a reconciler. All but PullSecrets are needed.
type Options struct {
	// Client may read from a cache.
	Client client.Client
	// Live reads past the cache: nothing is removed by what a cache says.
	Live     client.Reader
	Recorder events.Recorder
	Clock    clock.PassiveClock
	// Image is the runtime's.
	Image string
	// HostPath is the directory of the stores on each node.
	HostPath func() string
	// PullSecrets are those by which the image is pulled; nil: none.
	PullSecrets func() []corev1.LocalObjectReference
}

// Reconciler does the pendingTasks, one task at a time on each node.
type Reconciler struct {
	client   client.Client
	live     client.Reader
	recorder events.Recorder
	clock    clock.PassiveClock
	image    string
	hostPath func() string
	secrets  func() []corev1.LocalObjectReference
	failures failures
}

// New makes a reconciler.
func New(o Options) (*Reconciler, error) {
	if o.Client == nil || o.Live == nil || o.Recorder == nil || o.Clock == nil || o.HostPath == nil || o.Image == "" {
		return nil, errors.New("remains: an option is missing")
	}
	if o.PullSecrets == nil {
		o.PullSecrets = func() []corev1.LocalObjectReference { return nil }
	}
	return &Reconciler{
		client: o.Client, live: o.Live, recorder: o.Recorder, clock: o.Clock, image: o.Image, hostPath: o.HostPath, secrets: o.PullSecrets,
	}, nil
}

// Setup adds the controller to a manager.
func (r *Reconciler) Setup(mgr ctrl.Manager, concurrency int) error {
	here := predicate.NewPredicateFuncs(func(o client.Object) bool { return o.GetNamespace() == Namespace })
	return ctrl.NewControllerManagedBy(mgr).
		Named("remains").
		For(&v1alpha1.NodeStore{}, builder.WithPredicates(placesChanged())).
		Owns(&corev1.Pod{}, builder.WithPredicates(here)).
		Watches(&corev1.Node{}, &handler.EnqueueRequestForObject{}, builder.WithPredicates(watch.NodesBack())).
		Watches(namespaceMetadata(), handler.EnqueueRequestsFromMapFunc(r.ofNamespace), builder.OnlyMetadata,
			builder.WithPredicates(watch.Deletions())).
		WithOptions(controller.Options{MaxConcurrentReconciles: concurrency}).
		Complete(r)
}

// placesChanged leaves out what stores hold.
func placesChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, okBefore := e.ObjectOld.(*v1alpha1.NodeStore)
		after, okAfter := e.ObjectNew.(*v1alpha1.NodeStore)
		return !okBefore || !okAfter || before.UID != after.UID || before.Status.Closed != after.Status.Closed ||
			(len(before.Status.Stores) > 0) != (len(after.Status.Stores) > 0) ||
			len(before.Status.Directories) != len(after.Status.Directories)
	}}
}

// ofNamespace returns the NodeStores that remember a directory of a namespace.
func (r *Reconciler) ofNamespace(ctx context.Context, object client.Object) []reconcile.Request {
	var stores v1alpha1.NodeStoreList
	if err := r.client.List(ctx, &stores, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listed no NodeStores", "namespace", object.GetName())
		return nil
	}
	var requests []reconcile.Request
	for i := range stores.Items {
		for _, d := range stores.Items[i].Status.Directories {
			if d.Namespace == object.GetName() {
				requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Name: stores.Items[i].Name}})
				break
			}
		}
	}
	return requests
}

// Reconcile makes one pass over a node.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var s v1alpha1.NodeStore
	if err := r.client.Get(ctx, request.NamespacedName, &s); err != nil {
		if apierrors.IsNotFound(err) {
			r.failures.forgetNode(request.Name)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if s.DeletionTimestamp != nil {
		return ctrl.Result{}, nil
	}
	after, err := r.reconcileNode(ctx, &s)
	return ctrl.Result{RequeueAfter: after}, err
}

// reconcileNode returns after which time to look again; 0: at the next event.
func (r *Reconciler) reconcileNode(ctx context.Context, s *v1alpha1.NodeStore) (time.Duration, error) {
	p := &corev1.Pod{}
	err := r.live.Get(ctx, types.NamespacedName{Namespace: Namespace, Name: podName(s.Name)}, p)
	if client.IgnoreNotFound(err) != nil {
		return 0, fmt.Errorf("reading the pod of node %s: %w", s.Name, err)
	}
	if err == nil {
		return r.followPod(ctx, s, p)
	}
	todo, err := r.readTasks(ctx, r.client, s)
	if err != nil || len(todo) == 0 {
		return 0, err
	}
	// A cache may be behind: what is not in it yet is not gone.
	if todo, err = r.readTasks(ctx, r.live, s); err != nil {
		return 0, err
	}
	wake := time.Duration(0)
	for _, t := range todo {
		wait := r.failures.remainingWait(s.Name, t, r.clock.Now())
		if wait == 0 {
			return r.startTask(ctx, s, t)
		}
		if wake == 0 || wait < wake {
			wake = wait
		}
	}
	return wake, nil
}

// readTasks reads what is to be done on a node that is there and Ready.
func (r *Reconciler) readTasks(ctx context.Context, reader client.Reader, s *v1alpha1.NodeStore) ([]task, error) {
	var n corev1.Node
	if err := reader.Get(ctx, types.NamespacedName{Name: s.Name}, &n); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	node := index.NodeOf(&n)
	if owner := index.OwnerOf(s); node.ReadySince.IsZero() || owner != "" && owner != node.UID {
		return nil, nil
	}
	uids := map[string]types.UID{}
	for _, d := range s.Status.Directories {
		found := namespaceMetadata()
		switch err := reader.Get(ctx, types.NamespacedName{Name: d.Namespace}, found); {
		case err == nil:
			uids[d.Namespace] = found.UID
		case !apierrors.IsNotFound(err):
			return nil, fmt.Errorf("reading namespace %s: %w", d.Namespace, err)
		}
	}
	return pendingTasks(&s.Status, uids), nil
}

func namespaceMetadata() *metav1.PartialObjectMetadata {
	n := &metav1.PartialObjectMetadata{}
	n.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	return n
}
