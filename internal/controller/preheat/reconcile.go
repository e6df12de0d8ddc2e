// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package preheat

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/controller/events"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/domain/podstate"
	"github.com/kuda-io/kuda/internal/fieldindex"
	"github.com/kuda-io/kuda/internal/placement"
)

const retryAfterConflict = 20 * time.Millisecond

// Options of a reconciler.
type Options struct {
	// Client may read from a cache that has the indexes of package assignment and
	// of this one.
	Client   client.Client
	Recorder events.Recorder
	Clock    clock.PassiveClock
	// Off: the installation does not preheat. DataSets that ask for it are told.
	Off bool
}

// Reconciler carries out what Decide says.
type Reconciler struct {
	client   client.Client
	recorder events.Recorder
	clock    clock.PassiveClock
	off      bool
	memory   memory
}

// New makes a reconciler.
func New(o Options) *Reconciler {
	return &Reconciler{client: o.Client, recorder: o.Recorder, clock: o.Clock, off: o.Off}
}

// session is one pass over a DataSet.
type session struct {
	set *v1alpha1.DataSet
	// template is what the nodes are to have.
	template v1alpha1.DataTemplateSpec
	pods     map[string]*corev1.Pod
	datas    map[string]*v1alpha1.Data
	input    Input
	// trouble is what kept pods from being made so far; nil: nothing.
	trouble *trouble
}

// Reconcile makes one pass over a DataSet.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var d v1alpha1.DataSet
	if err := r.client.Get(ctx, request.NamespacedName, &d); err != nil {
		if apierrors.IsNotFound(err) {
			r.memory.forgetDataSet(request.NamespacedName) // its pods go with it
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	after, err := r.reconcilePreheat(ctx, &d)
	switch {
	case apierrors.IsConflict(err):
		// The DataSet controller was first; the next pass sees what it wrote.
		ctrl.LoggerFrom(ctx).V(1).Info("planned on an outdated status, planning again", "error", err.Error())
		return ctrl.Result{RequeueAfter: retryAfterConflict}, nil
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return ctrl.Result{}, nil
	case err != nil:
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: after}, nil
}

// reconcilePreheat returns after which time to look again; 0: at the next event.
func (r *Reconciler) reconcilePreheat(ctx context.Context, d *v1alpha1.DataSet) (time.Duration, error) {
	pods, err := r.listPods(ctx, d)
	if err != nil {
		return 0, err
	}
	if r.off || d.Spec.Preheat == nil || d.DeletionTimestamp != nil {
		return 0, r.cleanUp(ctx, d, pods)
	}
	s := &session{set: d, pods: pods}
	revision, err := r.findRevision(ctx, s)
	if err != nil || revision == "" {
		return 0, err
	}
	if err := r.observeCluster(ctx, s, revision); err != nil {
		return 0, err
	}
	plan := Decide(s.input)
	if plan.Retry {
		// Before it is remembered that the request was carried out.
		if err := r.retry(ctx, s); err != nil {
			return 0, err
		}
	}
	r.memory.put(d, plan.State, s.trouble)
	if err := r.carryOut(ctx, s, plan); err != nil {
		return 0, err
	}
	return s.nextLook(plan), r.publishStatus(ctx, s, plan)
}

// nextLook returns after which time to look again: as the plan says, or sooner where a pod
// is to be made once the trouble with the last one is over.
func (s *session) nextLook(plan Plan) time.Duration {
	wake := s.trouble.remainingWait(s.input.Now)
	if makes := len(plan.Create) > 0 || plan.Fill != ""; !makes || wake <= 0 || plan.Wake != 0 && plan.Wake <= wake {
		return plan.Wake
	}
	return wake
}

// findRevision finds what new pods get; "" while that is not decided yet.
func (r *Reconciler) findRevision(ctx context.Context, s *session) (string, error) {
	name := placement.Revision(s.set)
	if name == "" {
		s.template = s.set.Spec.Template
		if s.set.Status.ObservedGeneration != s.set.Generation {
			return "", nil // the DataSet controller is about to name it
		}
		return s.set.Status.UpdateRevision, nil
	}
	var err error
	s.template, err = placement.Template(ctx, r.client, s.set)
	return name, err
}

// observeCluster reads what the plan depends on. What comes from the cache is uncopied:
// nothing may change it.
func (r *Reconciler) observeCluster(ctx context.Context, s *session, revision string) error {
	d := s.set
	var nodes corev1.NodeList
	if err := r.client.List(ctx, &nodes, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing nodes: %w", err)
	}
	var stores v1alpha1.NodeStoreList
	if err := r.client.List(ctx, &stores, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing NodeStores: %w", err)
	}
	var datas v1alpha1.DataList
	if err := r.client.List(ctx, &datas, client.InNamespace(d.Namespace),
		client.MatchingFields{fieldindex.Preheat: d.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing Data: %w", err)
	}
	s.datas = make(map[string]*v1alpha1.Data, len(datas.Items))
	for i := range datas.Items {
		s.datas[string(assignment.PodUID(&datas.Items[i]))] = &datas.Items[i]
	}
	state, before := r.memory.get(d)
	s.trouble = before
	s.input = Input{
		DataSet: d.Name, UID: d.UID, Spec: *d.Spec.Preheat, Revision: revision, State: state,
		Held: before.nextTry(), Now: r.clock.Now(),
	}
	if request := d.Annotations[v1alpha1.AnnotationRolloutRequest]; assignment.RequestsRetry(request, d.Status.UpdateRevision) {
		s.input.Request = request
	}
	byName := make(map[string]*v1alpha1.NodeStore, len(stores.Items))
	for i := range stores.Items {
		byName[stores.Items[i].Name] = &stores.Items[i]
	}
	marks := placement.Marks(s.template)
	for i := range nodes.Items {
		n := &nodes.Items[i]
		s.input.Nodes = append(s.input.Nodes, nodeOf(n, byName[n.Name], d.Namespace, marks))
	}
	for _, p := range s.pods {
		s.input.Pods = append(s.input.Pods, podOf(p, s.datas[string(p.UID)]))
	}
	return nil
}

// listPods are those that were made for the DataSet, by name.
func (r *Reconciler) listPods(ctx context.Context, d *v1alpha1.DataSet) (map[string]*corev1.Pod, error) {
	var list corev1.PodList
	if err := r.client.List(ctx, &list, client.InNamespace(d.Namespace),
		client.MatchingFields{FieldPreheatPods: d.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing the preheat's pods: %w", err)
	}
	own := make(map[string]*corev1.Pod, len(list.Items))
	for i := range list.Items {
		if p := &list.Items[i]; podstate.Preheats(d, p) {
			own[p.Name] = p
		}
	}
	return own, nil
}

// cleanUp takes away what a preheat that is no longer wanted left.
func (r *Reconciler) cleanUp(ctx context.Context, d *v1alpha1.DataSet, pods map[string]*corev1.Pod) error {
	r.memory.forgetDataSet(client.ObjectKeyFromObject(d))
	for _, p := range pods {
		// Without the right to, they end by themselves.
		if err := r.deletePod(ctx, p); err != nil && !apierrors.IsForbidden(err) {
			return err
		}
	}
	if d.DeletionTimestamp != nil {
		return nil
	}
	before := d.DeepCopy()
	d.Status.Preheat = nil
	if d.Spec.Preheat == nil {
		meta.RemoveStatusCondition(&d.Status.Conditions, v1alpha1.ConditionPreheated)
	} else {
		meta.SetStatusCondition(&d.Status.Conditions, metav1.Condition{
			Type: v1alpha1.ConditionPreheated, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonPreheatOff, ObservedGeneration: d.Generation,
			Message: "this installation does not preheat; see the flag --preheat of kuda-manager, or take spec.preheat out",
		})
	}
	return r.patchStatus(ctx, d, before)
}

// publishStatus writes the status, and tells of what changed once it is written.
func (r *Reconciler) publishStatus(ctx context.Context, s *session, plan Plan) error {
	d := s.set
	before := d.DeepCopy()
	d.Status.Preheat = statusOf(plan)
	c := conditionOf(*d.Spec.Preheat, plan, d.Status.Preheat, s.trouble.currentObstacle())
	c.ObservedGeneration = d.Generation
	meta.SetStatusCondition(&d.Status.Conditions, c)
	if err := r.patchStatus(ctx, d, before); err != nil {
		return err
	}
	r.recordEvents(d, before.Status)
	return nil
}

// patchStatus writes the two parts of the status that are this controller's. A
// patch replaces the list of conditions as a whole, and others of them are the
// DataSet controller's: so it holds for the version that was read only.
func (r *Reconciler) patchStatus(ctx context.Context, d, before *v1alpha1.DataSet) error {
	if equality.Semantic.DeepEqual(before.Status, d.Status) {
		return nil
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.client.Status().Patch(ctx, d, patch); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("updating status: %w", err)
	}
	return nil
}
