// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"
	"time"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// currentWait returns what the rollout waits for.
func (r *run) currentWait(s survey) Wait {
	switch r.state.Phase {
	case v1alpha1.RolloutStopped, v1alpha1.RolloutRolledBack, v1alpha1.RolloutCompleted:
		return WaitsForNothing
	case v1alpha1.RolloutRollingBack:
		return WaitsForDelivery
	}
	switch step := r.currentStep(); {
	case r.Paused && (s.held > 0 || !r.updateIsStable()):
		return WaitsForResume
	case len(r.Pods) == 0:
		return WaitsForPods
	case r.state.Phase == v1alpha1.RolloutPrefetching:
		return WaitsForPrefetch
	case step != nil && step.Pause != nil:
		return WaitsForStep
	case step != nil && step.Analysis != nil:
		return WaitsForAnalysis
	}
	return r.waitsForPods(s)
}

func (r *run) waitsForPods(s survey) Wait {
	if len(s.moves) > 0 {
		return WaitsForDelivery
	}
	ready := false
	for _, p := range r.Pods {
		switch {
		case p.Revision != r.Update.Name || r.isDone(p):
		case !p.Delivered:
			return WaitsForDelivery
		default:
			ready = true
		}
	}
	switch {
	case ready:
		return WaitsForReady
	case len(s.movable) > 0:
		return WaitsForBudget
	case s.held > 0:
		return WaitsForPartition
	}
	return WaitsForDelivery
}

func reasonOf(w Wait) string {
	switch w {
	case WaitsForResume:
		return v1alpha1.ReasonPaused
	case WaitsForPods:
		return v1alpha1.ReasonNoPods
	case WaitsForPrefetch:
		return v1alpha1.ReasonPrefetching
	case WaitsForStep:
		return v1alpha1.ReasonStepPaused
	case WaitsForAnalysis:
		return v1alpha1.ReasonAnalyzing
	case WaitsForPartition:
		return v1alpha1.ReasonHeldBack
	}
	return v1alpha1.ReasonDelivering
}

// stopsDeadline reports whether the clock of the deadline stands for a reason.
func stopsDeadline(reason string) bool {
	switch reason {
	case v1alpha1.ReasonPaused, v1alpha1.ReasonNoPods, v1alpha1.ReasonStepPaused,
		v1alpha1.ReasonAnalyzing, v1alpha1.ReasonHeldBack:
		return true
	}
	return false
}

// deadlineRuns reports whether the clock of the deadline runs.
func (r *run) deadlineRuns(s survey) bool {
	return r.ProgressDeadline > 0 && !stopsDeadline(reasonOf(s.waits)) &&
		(r.state.Phase == v1alpha1.RolloutPrefetching || r.state.Phase == v1alpha1.RolloutProgressing)
}

// recordProgress notes when a pod came further than any before. A clock that stood
// starts anew: the reason that was written last tells.
func (r *run) recordProgress(s survey) {
	if r.state.Phase != v1alpha1.RolloutPrefetching && r.state.Phase != v1alpha1.RolloutProgressing {
		return
	}
	come, may := r.countProgress()
	// The highest count, as far as its pods are still there: one that
	// flickers is no progress, and one that is replaced is again.
	r.state.Updated = min(r.state.Updated, may)
	if come > r.state.Updated {
		r.state.Updated = come
		r.state.ProgressTime = r.currentTime()
	}
	if stopsDeadline(r.state.Reason) && !stopsDeadline(reasonOf(s.waits)) {
		r.state.ProgressTime = r.currentTime()
	}
}

// countProgress returns how many pods came as far as the phase wants, and how many are
// on their way there or arrived.
func (r *run) countProgress() (come, may int32) {
	for _, p := range r.Pods {
		if r.state.Phase == v1alpha1.RolloutPrefetching {
			may++
			if p.Prefetched && p.Revision != r.Update.Name {
				come++
			}
			continue
		}
		if p.Revision == r.Update.Name {
			may++
			if r.isUpdated(p) {
				come++
			}
		}
	}
	return come, may
}

func (r *run) deadlineExceeded(s survey) bool {
	return r.deadlineRuns(s) && r.timeSince(r.state.ProgressTime) >= r.ProgressDeadline
}

// giveUp applies the policy to a rollout that is late. A prefetch that only
// waits for pods that are unavailable has waited long enough for them.
func (r *run) giveUp() {
	if r.state.Phase == v1alpha1.RolloutPrefetching && (r.continuesOnFailure() || !r.awaitsAvailable()) {
		r.startMoves()
		return
	}
	reason, message := r.deadlineFailure()
	r.applyFailurePolicy(reason, message, r.FailurePolicy)
}

func (r *run) awaitsAvailable() bool {
	for _, p := range r.Pods {
		if r.awaitsPrefetch(p) && r.isAvailable(p) {
			return true
		}
	}
	return false
}

func (r *run) deadlineFailure() (reason, message string) {
	return v1alpha1.ReasonProgressDeadlineExceeded, fmt.Sprintf("no pod came further for %s", r.ProgressDeadline)
}

// toleratedFailure says what a rollout goes on in spite of: because failurePolicy is
// Continue, or because there is nothing to go back to.
func (r *run) toleratedFailure(s survey) (reason, message string) {
	if r.continuesOnFailure() && r.isRollingOut() && !r.Paused {
		reason, message = r.rolloutFailure()
	}
	if reason == "" && r.deadlineExceeded(s) {
		return r.deadlineFailure()
	}
	return reason, message
}

// nextWake returns after which time the plan changes by itself; 0: never.
func (r *run) nextWake(s survey) time.Duration {
	var next time.Duration
	at := func(d time.Duration) {
		if d > 0 && (next == 0 || d < next) {
			next = d
		}
	}
	if r.deadlineRuns(s) {
		at(r.ProgressDeadline - r.timeSince(r.state.ProgressTime))
	}
	for _, p := range r.Pods {
		if p.Delivered && p.Ready {
			at(r.availableAt(p).Sub(r.Now))
		}
	}
	if r.shouldPrefetch() {
		at(r.retryGracePeriod())
	}
	if r.Paused {
		return next
	}
	if step := r.currentStep(); step != nil && step.Pause != nil && step.Pause.Duration != nil {
		at(step.Pause.Duration.Duration - r.timeSince(r.state.StepStartTime))
	}
	if wait, ok := r.nextMeasurement(); ok {
		at(wait)
	}
	return next
}
