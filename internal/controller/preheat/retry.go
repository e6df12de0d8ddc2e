// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package preheat

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
)

// retry carries a request to try again out, and remembers what stood in its way.
func (r *Reconciler) retry(ctx context.Context, s *session) error {
	refused, err := r.requestRetries(ctx, s)
	if err != nil {
		return err
	}
	s.trouble = nil
	if refused != nil {
		s.trouble = s.trouble.afterRetry(*refused, s.set.Generation, s.input.Now)
	}
	return nil
}

// requestRetries asks the pods in which something failed to try it now. Nodes without a
// pod get one by the plan. It returns the obstacle where a write was refused, which does
// not hold up the other pods.
func (r *Reconciler) requestRetries(ctx context.Context, s *session) (*obstacle, error) {
	token := assignment.RequestToken(s.input.Request)
	var refused *obstacle
	for _, data := range s.datas {
		if !assignment.Failing(data) || assignment.RetryToken(data) == token {
			continue
		}
		changed := data.DeepCopy()
		changed.Spec.RetryToken = &token
		err := client.IgnoreNotFound(r.client.Patch(ctx, changed, client.MergeFrom(data)))
		switch {
		case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
			return nil, err
		case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
			refused = &obstacle{v1alpha1.ReasonForbidden, fmt.Sprintf("pod %s cannot be asked to try again: %v", data.Spec.PodName, err)}
		case err != nil:
			return nil, fmt.Errorf("asking pod %s to try again: %w", data.Spec.PodName, err)
		}
	}
	return refused, nil
}
