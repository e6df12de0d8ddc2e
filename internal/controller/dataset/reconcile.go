// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/controller/rollout"
)

const defaultHistoryLimit = 10

var errRevisionGone = errors.New("the ControllerRevision is gone and no Data remembers it")

// Reconciler carries out what rollout and revision decide.
type Reconciler struct {
	client client.Client
	// live reads past the cache.
	live     client.Reader
	recorder Recorder
	told     told
}

// New makes a reconciler. Reads of c may come from a cache that has the
// indexes of package assignment; reads of live must not come from a cache.
func New(c client.Client, live client.Reader, recorder Recorder) *Reconciler {
	return &Reconciler{client: c, live: live, recorder: recorder}
}

// Reconcile makes one pass over a DataSet.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var d v1alpha1.DataSet
	if err := r.client.Get(ctx, request.NamespacedName, &d); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	err := r.reconcile(ctx, &d)
	if apierrors.IsConflict(err) {
		// Somebody else was first. That is no failure: the change that they
		// made is on its way to the cache, and the next pass sees it.
		ctrl.LoggerFrom(ctx).V(1).Info("planned on an outdated object, planning again", "error", err.Error())
		return ctrl.Result{RequeueAfter: retryAfterConflict}, nil
	}
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		// Nothing can be made there any more, and what is there will go.
		ctrl.LoggerFrom(ctx).V(1).Info("left a namespace alone that is being deleted", "refused", err.Error())
		return ctrl.Result{}, nil
	}
	return ctrl.Result{}, err
}

func (r *Reconciler) reconcile(ctx context.Context, d *v1alpha1.DataSet) error {
	if d.DeletionTimestamp != nil {
		return r.finish(ctx, d)
	}
	if err := r.setFinalizer(ctx, d, d.Spec.DeletionPolicy == v1alpha1.DeletionPolicyRemove); err != nil {
		return err
	}
	o, err := r.observe(ctx, d)
	if err != nil {
		return err
	}
	update, err := r.updateRevision(ctx, d, o)
	if err != nil {
		return err
	}
	p, err := r.rollOut(ctx, d, o, update.Name)
	if err != nil {
		return err
	}

	before := d.DeepCopy()
	d.Status = status(d, o, p, update.Name)
	if err := r.patchStatus(ctx, d, before); err != nil {
		return err
	}
	r.announce(d, before.Status, o)
	return r.prune(ctx, d, o, d.Status)
}

func (r *Reconciler) rollOut(ctx context.Context, d *v1alpha1.DataSet, o *observation, update string) (rollout.Plan, error) {
	current := d.Status.CurrentRevision
	if _, ok := template(o, current); !ok && current != "" {
		// Nothing is left of the stable revision, so there is nothing to
		// return to: the update revision takes its place, and this says so.
		ctrl.LoggerFrom(ctx).Info("lost the stable revision, taking the update revision instead", "revision", current, "update", update)
		current = ""
	}
	p := plan(d, o, current, update)
	for _, name := range []string{p.Current, update} {
		reached := reach(o, name)
		if assigns(o, p, name) {
			reached = max(reached, rollout.Assigned)
		}
		if err := r.remember(ctx, o, name, reached); err != nil {
			return p, err
		}
	}
	if err := r.deliver(ctx, d, o, p); err != nil {
		return p, fmt.Errorf("rolling out revision %s: %w", update, err)
	}
	return p, nil
}

// assigns says whether the plan gives the revision to anyone.
func assigns(o *observation, p rollout.Plan, name string) bool {
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
