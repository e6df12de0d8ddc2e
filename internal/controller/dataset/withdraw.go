// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/domain/podstate"
	"github.com/kuda-io/kuda/internal/fieldindex"
)

// withdrawer takes the items of a DataSet that is being deleted back from its pods.
type withdrawer struct {
	client client.Client
	// live reads past the cache.
	live client.Reader
}

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

// withdrawItems takes the next step with every Data and returns the pods that still
// hold items, sorted.
func (w withdrawer) withdrawItems(ctx context.Context, d *v1alpha1.DataSet) ([]string, error) {
	var datas v1alpha1.DataList
	if err := w.client.List(ctx, &datas, client.InNamespace(d.Namespace),
		client.MatchingFields{fieldindex.DataSet: d.Name}); err != nil {
		return nil, fmt.Errorf("listing Data: %w", err)
	}
	var holders []string
	for i := range datas.Items {
		data := &datas.Items[i]
		p, err := w.readPod(ctx, types.NamespacedName{Namespace: data.Namespace, Name: data.Spec.PodName})
		if err != nil {
			return nil, err
		}
		switch nextStep(data, p) {
		case stepDelete:
			if err := w.client.Delete(ctx, data, client.Preconditions{UID: &data.UID}); client.IgnoreNotFound(err) != nil {
				return nil, fmt.Errorf("deleting Data %s: %w", data.Name, err)
			}
			continue
		case stepAsk:
			before := data.DeepCopy()
			data.Spec.Withdraw = true
			// A Data of the same name may be another pod's by now.
			patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
			if err := w.client.Patch(ctx, data, patch); client.IgnoreNotFound(err) != nil {
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
func (w withdrawer) readPod(ctx context.Context, key types.NamespacedName) (*corev1.Pod, error) {
	var p corev1.Pod
	err := w.client.Get(ctx, key, &p)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err == nil && !podstate.Started(&p) {
		// The cache may be behind, and what a pod that starts now holds is not lost.
		if err = w.live.Get(ctx, key, &p); apierrors.IsNotFound(err) {
			return nil, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading pod %s: %w", key.Name, err)
	}
	return &p, nil
}
