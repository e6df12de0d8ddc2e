// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package preheat

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/internal/domain/assignment"
)

// requestRetries asks the pods in which something failed to try it now. Nodes without a
// pod get one by the plan.
func (r *Reconciler) requestRetries(ctx context.Context, s *session) error {
	for _, data := range s.datas {
		if !assignment.Failing(data) || assignment.RetryToken(data) == s.input.Request {
			continue
		}
		changed := data.DeepCopy()
		changed.Spec.RetryToken = &s.input.Request
		if err := r.client.Patch(ctx, changed, client.MergeFrom(data)); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("asking pod %s to try again: %w", data.Spec.PodName, err)
		}
	}
	return nil
}
