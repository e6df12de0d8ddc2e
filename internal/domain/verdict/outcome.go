// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/revision"
)

// Outcome returns how the rollout of record i of the history ended. Managers of v0.1.0
// record a first delivery as Succeeded when it begins, and a stopped rollout as Running;
// what is known beside the record corrects that. The revision is nil where it is not
// kept, or not known.
func Outcome(d *v1alpha1.DataSet, i int, r *appsv1.ControllerRevision) v1alpha1.RolloutOutcome {
	record := &d.Status.History[i]
	last := i == len(d.Status.History)-1 && record.Revision == d.Status.UpdateRevision
	rollout := d.Status.Rollout
	switch {
	case record.Outcome == v1alpha1.OutcomeRunning && last && rollout != nil && rollout.Phase == v1alpha1.RolloutStopped:
		return v1alpha1.OutcomeStopped
	case record.Outcome != v1alpha1.OutcomeSucceeded || r == nil || revision.Reached(r) == revision.ReachedDelivered:
		return record.Outcome
	case last:
		return v1alpha1.OutcomeRunning
	}
	return v1alpha1.OutcomeSuperseded
}

// HasSucceeded reports whether a revision is one to go back to: at least one pod had all
// of it, and its newest rollout that came to an end did not fail. A rollout that another
// template replaced, or that goes on, is no evidence against it.
func HasSucceeded(d *v1alpha1.DataSet, r *appsv1.ControllerRevision) bool {
	if revision.Reached(r) != revision.ReachedDelivered {
		return false
	}
	for i, record := range slices.Backward(d.Status.History) {
		if record.Revision != r.Name {
			continue
		}
		switch Outcome(d, i, r) {
		case v1alpha1.OutcomeSucceeded:
			return true
		case v1alpha1.OutcomeFailed, v1alpha1.OutcomeStopped, v1alpha1.OutcomeRolledBack:
			return false
		}
	}
	return true // a pod had it, and no record says that it failed
}
