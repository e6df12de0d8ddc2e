// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// cause is why a rollout fails: a reason of the API, and what there is to say. Its
// zero value says that it does not.
type cause struct{ reason, message string }

// recordFailures adds the pods that failed to those that had before. It goes on
// adding while the rollout is stopped, paused, or on its way back: those failures
// belong to the rollout, too.
func recordFailures(f facts) state {
	s := f.state
	if f.countsFailures() {
		s.failures = f.podFailures()
		s.FailedPods = f.failedPods()
		s.FailedPods = s.FailedPods[:min(len(s.FailedPods), maxFailedPods)]
	}
	return s
}

// rolloutFailure returns why the rollout counts as failed by its pods or measurements.
func rolloutFailure(f facts) cause {
	if failed := f.failedPods(); len(failed) >= f.in.failureThreshold() {
		return podsFailure(f, failed)
	}
	return analysisFailure(f)
}

// podsFailure describes the failure of pods, with what is wrong with the first of them.
func podsFailure(f facts, names []string) cause {
	why := cause{reason: v1alpha1.ReasonPrefetchFailed}
	for _, p := range sortPods(f, f.pods) {
		switch {
		case p.failed && why.reason != v1alpha1.ReasonPodsFailed:
			why = cause{v1alpha1.ReasonPodsFailed, "pod " + p.Name + ": " + p.failure}
		case why.message == "" && p.prefetchFailed:
			why.message = "pod " + p.Name + ": " + p.PrefetchMessage
		}
	}
	if why.message == "" {
		why = cause{v1alpha1.ReasonPodsFailed, "pod " + names[0] + " failed"}
	}
	if len(names) > 1 {
		why.message = fmt.Sprintf("%d pods failed; %s", len(names), why.message)
	}
	return why
}

func failsTooOften(f facts) bool {
	return f.countsFailures() && !f.in.continuesOnFailure() && !f.in.Paused && rolloutFailure(f) != cause{}
}

func applyFailurePolicy(f facts) state { return giveUp(f, rolloutFailure(f), f.in.FailurePolicy) }

// giveUp ends a rollout as a policy says. Without a stable revision to go back to
// it is stopped instead.
func giveUp(f facts, why cause, policy v1alpha1.FailurePolicy) state {
	switch {
	case policy != v1alpha1.FailurePolicyRollback:
		return enterPhase(f, stopped, why)
	case !f.canReturn():
		why.message += "; there is no revision to go back to that a pod ever had all of"
		return enterPhase(f, stopped, why)
	}
	return enterPhase(f, rollingBack, why)
}

// rollbackIsDone reports whether no pod is off the stable revision, and those that
// were moved have all of it. With OnDelete no pod is moved.
func rollbackIsDone(f facts) bool {
	return f.in.onDelete() || !f.anyPod(func(p podFacts) bool {
		return p.Revision != "" && p.Revision != f.state.stable || p.Baseline != nil && !p.Delivered
	})
}

func finishRollback(f facts) state {
	s := enterPhase(f, rolledBack, cause{f.state.Reason, f.state.Message})
	s.EndTime = f.currentTime()
	return s
}
