// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/domain/podstate"
	"github.com/kuda-io/kuda/internal/fieldindex"
	"github.com/kuda-io/kuda/internal/shorten"
)

// step is what a deletion does next with one Data.
type step int

const (
	// stepAsk: tell the runtime to take the items out of the view.
	stepAsk step = iota
	// stepWait: it was told.
	stepWait
	// stepDelete: no pod holds the items any more.
	stepDelete
)

// nextStep decides; p is nil when the pod is gone.
func nextStep(d *v1alpha1.Data, p *corev1.Pod) step {
	switch {
	case !assignment.Holds(d, p):
		return stepDelete
	case d.Spec.Withdraw:
		return stepWait
	default:
		return stepAsk
	}
}

// finalizeDataSet handles a DataSet that is being deleted. With Retain nothing holds
// the DataSet, and the Data controller removes its Data afterwards.
func (r *Reconciler) finalizeDataSet(ctx context.Context, d *v1alpha1.DataSet) error {
	if !controllerutil.ContainsFinalizer(d, v1alpha1.FinalizerWithdraw) {
		return nil
	}
	var holders []string
	if d.Spec.DeletionPolicy == v1alpha1.DeletionPolicyRemove {
		var err error
		if holders, err = r.withdrawItems(ctx, d); err != nil {
			return err
		}
	}
	if len(holders) > 0 {
		return r.showWithdrawing(ctx, d, holders)
	}
	return r.setFinalizer(ctx, d, false)
}

// withdrawItems takes the next step with every Data and returns the pods that still
// hold items, sorted.
func (r *Reconciler) withdrawItems(ctx context.Context, d *v1alpha1.DataSet) ([]string, error) {
	var datas v1alpha1.DataList
	if err := r.client.List(ctx, &datas, client.InNamespace(d.Namespace),
		client.MatchingFields{fieldindex.DataSet: d.Name}); err != nil {
		return nil, fmt.Errorf("listing Data: %w", err)
	}
	var holders []string
	for i := range datas.Items {
		data := &datas.Items[i]
		p, err := r.readPod(ctx, types.NamespacedName{Namespace: data.Namespace, Name: data.Spec.PodName})
		if err != nil {
			return nil, err
		}
		switch nextStep(data, p) {
		case stepDelete:
			if err := r.client.Delete(ctx, data); client.IgnoreNotFound(err) != nil {
				return nil, fmt.Errorf("deleting Data %s: %w", data.Name, err)
			}
			continue
		case stepAsk:
			before := data.DeepCopy()
			data.Spec.Withdraw = true
			if err := r.client.Patch(ctx, data, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
				return nil, fmt.Errorf("updating Data %s: %w", data.Name, err)
			}
		case stepWait:
		}
		holders = append(holders, data.Spec.PodName)
	}
	slices.Sort(holders)
	return holders, nil
}

// readPod returns nil when there is none.
func (r *Reconciler) readPod(ctx context.Context, key types.NamespacedName) (*corev1.Pod, error) {
	var p corev1.Pod
	err := r.client.Get(ctx, key, &p)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err == nil && !podstate.Started(&p) {
		// The cache may be behind, and what a pod that starts now holds is not lost.
		if err = r.live.Get(ctx, key, &p); apierrors.IsNotFound(err) {
			return nil, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading pod %s: %w", key.Name, err)
	}
	return &p, nil
}

func (r *Reconciler) showWithdrawing(ctx context.Context, d *v1alpha1.DataSet, holders []string) error {
	before := d.DeepCopy()
	d.Status.ObservedGeneration = d.Generation
	meta.SetStatusCondition(&d.Status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonWithdrawing, ObservedGeneration: d.Generation,
		Message: shorten.Text(fmt.Sprintf("%d pods still hold the items, the first is %s; where its runtime cannot answer, delete the pod, "+
			"or set spec.deletionPolicy to Retain to delete the DataSet without waiting", len(holders), holders[0]), maxMessageLength),
	})
	return r.patchStatus(ctx, d, before)
}

func (r *Reconciler) patchStatus(ctx context.Context, d, before *v1alpha1.DataSet) error {
	if equality.Semantic.DeepEqual(before.Status, d.Status) {
		return nil
	}
	// What was decided is not to outlive what it was decided from, nor what
	// another manager wrote in the meantime.
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.client.Status().Patch(ctx, d, patch); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("updating status: %w", err)
	}
	r.written.recordWrite(d)
	return nil
}

// setFinalizer makes the DataSet have the finalizer, or not.
func (r *Reconciler) setFinalizer(ctx context.Context, d *v1alpha1.DataSet, wanted bool) error {
	before := d.DeepCopy()
	change := controllerutil.RemoveFinalizer
	if wanted {
		change = controllerutil.AddFinalizer
	}
	if !change(d, v1alpha1.FinalizerWithdraw) {
		return nil
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.client.Patch(ctx, d, patch); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("updating finalizers: %w", err)
	}
	return nil
}
