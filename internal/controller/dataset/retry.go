// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"context"
	"fmt"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
)

// requestRetries asks the pods in which something failed to try it now, when that was
// requested. It goes before the status that says that the request was carried out, so
// that a manager which dies in between asks again; for a runtime the same token is
// the same request.
func (r *Reconciler) requestRetries(ctx context.Context, s *session) error {
	request := s.set.Annotations[v1alpha1.AnnotationRolloutRequest]
	state := s.set.Status.Rollout
	if state == nil || state.Request == request || state.Revision != s.update.Name || !assignment.RequestsRetry(request, state.Revision) {
		return nil
	}
	err := r.writeAll(ctx, s, func(x *replica) (*v1alpha1.DataSpec, error) {
		if x.data == nil || assignment.RetryToken(x.data) == request || !assignment.Failing(x.data) || returnsForRetry(s.set, x) {
			return nil, nil
		}
		spec := x.data.Spec.DeepCopy()
		spec.RetryToken = &request
		return spec, nil
	})
	if err != nil {
		return fmt.Errorf("asking pods to try again: %w", err)
	}
	return nil
}

// returnsForRetry reports whether the retry of a rollout that failed moves a pod to the
// stable revision first: there it is not to try the revision that failed.
func returnsForRetry(d *v1alpha1.DataSet, x *replica) bool {
	switch d.Status.Rollout.Phase {
	case v1alpha1.RolloutStopped, v1alpha1.RolloutRollingBack, v1alpha1.RolloutRolledBack:
		return x.revision == d.Status.UpdateRevision && d.Status.CurrentRevision != "" && d.Status.CurrentRevision != d.Status.UpdateRevision
	}
	return d.Status.Rollout.Reason == v1alpha1.ReasonRetrying && x.revision == d.Status.UpdateRevision
}
