// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"time"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// currentWait returns what the rollout waits for.
func currentWait(f facts, m moves) Wait {
	switch f.state.phase() {
	case stopped, rolledBack, completed:
		return WaitsForNothing
	case rollingBack:
		return WaitsForDelivery
	}
	switch step := currentStep(f); {
	case f.in.Paused && (m.held > 0 || !f.updateIsStable()):
		return WaitsForResume
	case len(f.pods) == 0:
		return WaitsForPods
	case f.state.isIn(prefetching):
		return WaitsForPrefetch
	case step != nil && step.Pause != nil:
		return WaitsForStep
	case step != nil && step.Analysis != nil:
		return WaitsForAnalysis
	}
	return podWait(f, m)
}

// podWait returns what pods keep the rollout waiting for.
func podWait(f facts, m moves) Wait {
	awaited := func(p podFacts) bool { return !p.outdated && !p.done }
	switch {
	case len(m.now) > 0 || f.anyPod(func(p podFacts) bool { return awaited(p) && !p.Delivered }):
		return WaitsForDelivery
	case f.anyPod(awaited):
		return WaitsForReady
	case len(m.movable) > 0:
		return WaitsForBudget
	case m.held > 0:
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

// nextWake returns after which time the plan changes by itself; 0: never.
func nextWake(f facts, m moves) time.Duration {
	var next time.Duration
	at := func(d time.Duration) {
		if d > 0 && (next == 0 || d < next) {
			next = d
		}
	}
	if deadlineRuns(f, currentWait(f, m)) {
		at(f.in.ProgressDeadline - f.timeSince(f.state.ProgressTime))
	}
	for _, p := range f.pods {
		if p.Delivered && p.Ready {
			at(p.availableAt.Sub(f.in.Now))
		}
	}
	if f.shouldPrefetch() {
		at(f.retryGracePeriod())
	}
	if f.in.Paused {
		return next
	}
	if step := currentStep(f); step != nil && step.Pause != nil && step.Pause.Duration != nil {
		at(step.Pause.Duration.Duration - f.timeSince(f.state.StepStartTime))
	}
	if wait, ok := nextMeasurement(f); ok {
		at(wait)
	}
	return next
}
