// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/shorten"
)

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

// finalizeDataSet handles a DataSet that is being deleted. With Retain nothing holds
// the DataSet, and the Data controller removes its Data afterwards.
func (r *Reconciler) finalizeDataSet(ctx context.Context, d *v1alpha1.DataSet) error {
	if !controllerutil.ContainsFinalizer(d, v1alpha1.FinalizerWithdraw) {
		return nil
	}
	var holders []string
	if d.Spec.DeletionPolicy == v1alpha1.DeletionPolicyRemove {
		var err error
		if holders, err = r.withdrawer.withdrawItems(ctx, d); err != nil {
			return err
		}
	}
	if len(holders) > 0 {
		return r.showWithdrawing(ctx, d, holders)
	}
	return r.setFinalizer(ctx, d, false)
}

func (r *Reconciler) showWithdrawing(ctx context.Context, d *v1alpha1.DataSet, holders []string) error {
	before := d.DeepCopy()
	d.Status.ObservedGeneration = d.Generation
	why := cause{v1alpha1.ReasonWithdrawing, shorten.Text(fmt.Sprintf("%d pods still hold the items, the first is %s; where its runtime "+
		"cannot answer, delete the pod, or set spec.deletionPolicy to Retain to delete the DataSet without waiting",
		len(holders), holders[0]), maxMessageLength)}
	for _, c := range append(standingConditions(why, cause{}), metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: why.reason, Message: why.message,
	}) {
		c.ObservedGeneration = d.Generation
		meta.SetStatusCondition(&d.Status.Conditions, c)
	}
	return r.patchStatus(ctx, d, before)
}
