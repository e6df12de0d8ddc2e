// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"slices"
	"strings"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// heed honours a request that is new and about the update revision.
func (r *run) heed() {
	words := strings.Fields(r.Request)
	if r.Request == r.state.Request || len(words) < 2 || words[1] != r.Update.Name {
		return
	}
	switch words[0] {
	case v1alpha1.RequestPromote:
		if r.station() != nil {
			r.goTo(r.state.Step + 1)
		}
	case v1alpha1.RequestPromoteFull:
		if r.rolling() && int(r.state.Step) < len(r.Strategy.Steps) {
			r.goTo(int32(len(r.Strategy.Steps)))
		}
	case v1alpha1.RequestAbort:
		if r.rolling() || r.retrying() || r.state.Phase == v1alpha1.RolloutStopped {
			r.fail(v1alpha1.ReasonAborted, "somebody said abort", v1alpha1.FailurePolicyRollback)
		}
	case v1alpha1.RequestRetry:
		if r.Paused {
			return // until spec.paused is false
		}
		r.retry()
	default:
		return
	}
	r.state.Request = r.Request
}

// retry begins anew. The pods that failed go back to the stable revision first:
// so their next try is judged by what they are then, and their runtimes do
// everything again. The others keep what they have.
func (r *run) retry() {
	if r.state.Phase != v1alpha1.RolloutStopped && !r.returning() {
		return
	}
	failed := r.state.FailedPods
	r.begin(r.Request)
	if r.settled() || r.onDelete() {
		return
	}
	r.state.Phase = v1alpha1.RolloutProgressing
	r.state.Reason = v1alpha1.ReasonRetrying
	r.state.Message = "the pods that failed go back before the revision is tried again"
	r.state.FailedPods = failed
}

func (r *run) retrying() bool {
	return r.state.Phase == v1alpha1.RolloutProgressing && r.state.Reason == v1alpha1.ReasonRetrying
}

// retried goes on when no pod is left that failed in an earlier try.
func (r *run) retried() {
	if !r.retrying() {
		return
	}
	if !r.settled() && !r.onDelete() && slices.ContainsFunc(r.Pods, r.toReturn) {
		return
	}
	start := r.state.StartTime
	r.begin(r.state.Request)
	r.state.StartTime = start
}

// toReturn says whether a pod failed in an earlier try and is still as that left it.
func (r *run) toReturn(p Pod) bool {
	_, failed := r.failed(p)
	return p.Revision == r.Update.Name && (failed || slices.Contains(r.state.FailedPods, p.Name))
}

// again answers the moves of failed pods to the stable revision.
func (r *run) again() (moves []Move, held int) {
	if r.Paused {
		return nil, len(r.others())
	}
	budget := r.budget()
	for _, p := range r.sorted(r.Pods) {
		if !r.toReturn(p) {
			continue
		}
		r.recordFailure(p)
		if r.available(p) {
			if budget <= 0 {
				continue
			}
			budget--
		}
		moves = append(moves, Move{UID: p.UID, Revision: r.current})
	}
	return moves, len(r.others())
}

// recordFailure remembers a pod that fails while the pods that failed go back. It
// is not Ready when it is moved, and would pass later for one that never was.
func (r *run) recordFailure(p Pod) {
	what, failed := r.failed(p)
	if !failed || slices.Contains(r.state.FailedPods, p.Name) || len(r.state.FailedPods) >= maxFailedPods {
		return
	}
	r.state.FailedPods = addSorted(r.state.FailedPods, p.Name)
	if r.failures == nil {
		r.failures = make(map[string]string)
	}
	r.failures[p.Name] = what
}
