// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func (r *run) continuesOnFailure() bool { return r.FailurePolicy == v1alpha1.FailurePolicyContinue }

// handleFailures adds the pods that failed to those that had before, and applies the
// policy when they are too many. It goes on adding while the rollout is stopped,
// paused, or rolled back: those failures belong to the rollout, too.
func (r *run) handleFailures() {
	if !r.countsFailures() {
		return
	}
	r.failures = r.podFailures()
	r.state.FailedPods = r.failedPods()
	if len(r.state.FailedPods) > maxFailedPods {
		r.state.FailedPods = r.state.FailedPods[:maxFailedPods]
	}
	if r.isRollingOut() && !r.continuesOnFailure() && !r.Paused {
		if reason, message := r.rolloutFailure(); reason != "" {
			r.applyFailurePolicy(reason, message, r.FailurePolicy)
		}
	}
}

// countsFailures reports whether failures of pods are this rollout's.
func (r *run) countsFailures() bool {
	return !r.updateIsStable() && !r.onDelete() && !r.isRetrying() && r.state.Phase != v1alpha1.RolloutRolledBack
}

// failedPods returns the names of the pods that failed in this rollout, sorted.
func (r *run) failedPods() []string {
	if !r.countsFailures() {
		return slices.Clone(r.state.FailedPods)
	}
	return addSorted(r.state.FailedPods, slices.Collect(maps.Keys(r.podFailures()))...)
}

// podFailures returns what is wrong with each pod that fails now, by name.
func (r *run) podFailures() map[string]string {
	found := make(map[string]string)
	for _, p := range r.Pods {
		if what, failed := r.podFailure(p); failed {
			found[p.Name] = what
		} else if r.prefetchFailed(p) {
			found[p.Name] = "downloading it ahead: " + p.PrefetchMessage
		}
	}
	return found
}

// rolloutFailure returns why the rollout counts as failed by its pods or measurements;
// "": it does not.
func (r *run) rolloutFailure() (reason, message string) {
	if failed := r.failedPods(); len(failed) >= r.failureThreshold() {
		return r.describeFailure(failed)
	}
	return r.analysisFailed()
}

// describeFailure describes the failure of pods, with what is wrong with the first of
// them.
func (r *run) describeFailure(names []string) (reason, message string) {
	reason = v1alpha1.ReasonPrefetchFailed
	var first string
	for _, p := range r.sortPods(r.Pods) {
		what, failed := r.podFailure(p)
		switch {
		case failed && reason != v1alpha1.ReasonPodsFailed:
			reason, first = v1alpha1.ReasonPodsFailed, "pod "+p.Name+": "+what
		case first == "" && r.prefetchFailed(p):
			first = "pod " + p.Name + ": " + p.PrefetchMessage
		}
	}
	if first == "" {
		reason, first = v1alpha1.ReasonPodsFailed, "pod "+names[0]+" failed"
	}
	if more := len(names) - 1; more > 0 {
		return reason, fmt.Sprintf("%d pods failed; %s", len(names), first)
	}
	return reason, first
}

// applyFailurePolicy applies the failure policy. Without a stable revision to go back
// to a rollout is stopped instead.
func (r *run) applyFailurePolicy(reason, message string, policy v1alpha1.FailurePolicy) {
	switch {
	case policy == v1alpha1.FailurePolicyContinue || r.updateIsStable():
	case policy != v1alpha1.FailurePolicyRollback:
		r.enterPhase(v1alpha1.RolloutStopped, reason, message)
	case !r.canReturn():
		r.enterPhase(v1alpha1.RolloutStopped, reason, message+"; there is no revision to go back to that a pod ever had all of")
	default:
		r.enterPhase(v1alpha1.RolloutRollingBack, reason, message)
	}
}

func (r *run) canReturn() bool {
	return !r.updateIsStable() && r.Current.Name == r.current && r.Current.Reach == Delivered
}

func (r *run) failureThreshold() int {
	value := intstr.FromInt32(1)
	if r.FailureThreshold != nil {
		value = *r.FailureThreshold
	}
	return max(1, scaledValue(value, len(r.Pods)))
}

// finishRollback ends the rollback when it is complete: no pod is off the stable
// revision, and those that were moved have all of it. With OnDelete no pod is moved.
func (r *run) finishRollback() {
	if r.state.Phase != v1alpha1.RolloutRollingBack {
		return
	}
	for _, p := range r.Pods {
		if !r.onDelete() && (p.Revision != "" && p.Revision != r.current || p.Baseline != nil && !p.Delivered) {
			return
		}
	}
	r.enterPhase(v1alpha1.RolloutRolledBack, r.state.Reason, r.state.Message)
	r.state.EndTime = r.currentTime()
}

// rollbackMoves returns the moves to the stable revision that can be made now. It is
// known to work, so unavailable pods go at once, whatever their number.
func (r *run) rollbackMoves() (moves []Move, held int) {
	held = len(r.outdatedPods())
	if r.onDelete() {
		return nil, held
	}
	budget := r.remainingBudget()
	for _, p := range r.sortPods(r.Pods) {
		if p.Revision == "" || p.Revision == r.current {
			continue
		}
		if r.isAvailable(p) {
			if budget <= 0 {
				continue
			}
			budget--
		}
		moves = append(moves, Move{UID: p.UID, Revision: r.current})
	}
	return moves, held
}
