// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"slices"
	"strings"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// applyRequest carries out a request that is new and about the update revision.
func (r *run) applyRequest() {
	words := strings.Fields(r.Request)
	if r.Request == r.state.Request || len(words) < 2 || words[1] != r.Update.Name {
		return
	}
	switch words[0] {
	case v1alpha1.RequestPromote:
		if r.currentStep() != nil {
			r.goTo(r.state.Step + 1)
		}
	case v1alpha1.RequestPromoteFull:
		if r.isRollingOut() && int(r.state.Step) < len(r.Strategy.Steps) {
			r.goTo(int32(len(r.Strategy.Steps)))
		}
	case v1alpha1.RequestAbort:
		if r.isRollingOut() || r.isRetrying() || r.state.Phase == v1alpha1.RolloutStopped {
			r.applyFailurePolicy(v1alpha1.ReasonAborted, "abort was requested", v1alpha1.FailurePolicyRollback)
		}
	case v1alpha1.RequestRetry:
		if r.Paused {
			return // until spec.paused is false
		}
		r.startRetry()
	default:
		return
	}
	r.state.Request = r.Request
}

// startRetry begins anew. The pods that failed go back to the stable revision first:
// so their next try is judged by what they are then, and their runtimes do
// everything again. The others keep what they have.
func (r *run) startRetry() {
	if r.state.Phase != v1alpha1.RolloutStopped && !r.isReturning() {
		return
	}
	failed := r.state.FailedPods
	r.startRollout(r.Request)
	if r.updateIsStable() || r.onDelete() {
		return
	}
	r.state.Phase = v1alpha1.RolloutProgressing
	r.state.Reason = v1alpha1.ReasonRetrying
	r.state.Message = "the pods that failed go back before the revision is tried again"
	r.state.FailedPods = failed
}

func (r *run) isRetrying() bool {
	return r.state.Phase == v1alpha1.RolloutProgressing && r.state.Reason == v1alpha1.ReasonRetrying
}

// finishRetry continues the rollout once no pod is left that failed in an earlier try.
func (r *run) finishRetry() {
	if !r.isRetrying() {
		return
	}
	if !r.updateIsStable() && !r.onDelete() && slices.ContainsFunc(r.Pods, r.toReturn) {
		return
	}
	start := r.state.StartTime
	r.startRollout(r.state.Request)
	r.state.StartTime = start
}

// toReturn reports whether a pod failed in an earlier try and was not moved back since.
func (r *run) toReturn(p Pod) bool {
	_, failed := r.podFailure(p)
	return p.Revision == r.Update.Name && (failed || slices.Contains(r.state.FailedPods, p.Name))
}

// retryMoves returns the moves of failed pods to the stable revision.
func (r *run) retryMoves() (moves []Move, held int) {
	if r.Paused {
		return nil, len(r.outdatedPods())
	}
	budget := r.remainingBudget()
	for _, p := range r.sortPods(r.Pods) {
		if !r.toReturn(p) {
			continue
		}
		r.recordFailure(p)
		if r.isAvailable(p) {
			if budget <= 0 {
				continue
			}
			budget--
		}
		moves = append(moves, Move{UID: p.UID, Revision: r.current})
	}
	return moves, len(r.outdatedPods())
}

// recordFailure remembers a pod that fails while the pods that failed go back. It
// is not Ready when it is moved, and would pass later for one that never was.
func (r *run) recordFailure(p Pod) {
	what, failed := r.podFailure(p)
	if !failed || slices.Contains(r.state.FailedPods, p.Name) || len(r.state.FailedPods) >= maxFailedPods {
		return
	}
	r.state.FailedPods = addSorted(r.state.FailedPods, p.Name)
	if r.failures == nil {
		r.failures = make(map[string]string)
	}
	r.failures[p.Name] = what
}
