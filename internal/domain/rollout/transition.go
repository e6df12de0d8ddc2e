// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/shorten"
)

func alwaysOccurs(facts) bool { return true }

// startRollout returns the state in which a rollout of the update revision begins.
func startRollout(f facts, request string) state {
	now := f.currentTime()
	s := state{stable: f.state.stable, failures: f.state.failures, RolloutStatus: v1alpha1.RolloutStatus{
		Revision: f.in.Update.Name, Phase: progressing, Request: request,
		StartTime: now, ProgressTime: now, StepStartTime: now,
	}}
	switch {
	case f.isFirstDelivery():
		s.Phase = delivering
	case f.wantsPrefetch():
		s.Phase = prefetching
	}
	return s
}

// enterPhase returns the state in another phase.
func enterPhase(f facts, to phase, why cause) state {
	s := f.state
	s.Phase, s.Reason, s.Message = to, why.reason, shorten.Text(why.message, maxMessage)
	s.ProgressTime, s.EndTime = f.currentTime(), nil
	return s
}

// beginRollout takes the request as known: what was asked before this rollout began
// is not about it.
func beginRollout(f facts) state { return startRollout(f, f.in.Request) }

func leavesStable(f facts) bool { return !f.updateIsStable() }

func beginAgain(f facts) state { return startRollout(f, f.state.Request) }

// continueStable: there is nothing to go back to, to be held, or to prefetch.
func continueStable(f facts) state {
	if f.isFirstDelivery() {
		return enterPhase(f, delivering, cause{})
	}
	return enterPhase(f, progressing, cause{})
}

// rolloutIsDone reports whether every pod is updated, a pod had all of the revision, and
// all steps are taken.
func rolloutIsDone(f facts) bool {
	switch {
	case !f.updateWorked() || !mayEnd(f):
		return false
	case len(f.pods) == 0:
		return len(f.notStarted) == 0 && startsNext(f)
	}
	return !f.anyPod(func(p podFacts) bool { return p.outdated || !p.Delivered || !p.done })
}

// mayEnd reports whether neither a pause nor a step holds the rollout.
func mayEnd(f facts) bool {
	return (!f.in.Paused || f.updateIsStable()) && int(f.state.Step) >= len(f.in.Strategy.Steps)
}

// nextPodStartsIt reports whether there is no pod, and the next one is to be the first
// with the update revision.
func nextPodStartsIt(f facts) bool {
	return !f.updateWorked() && mayEnd(f) && len(f.pods)+len(f.notStarted) == 0 && startsNext(f)
}

// beginDelivery makes the update revision the stable one, for the pods to come. It has
// not succeeded yet.
func beginDelivery(f facts) state {
	s := enterPhase(f, delivering, cause{})
	s.stable = f.in.Update.Name
	return s
}

// startsNext reports whether, without any pod, the next one is to start with the
// update revision, as a Job's is. A revision that was tried and never worked is
// not trusted because its pods are gone.
func startsNext(f facts) bool {
	return f.updateIsStable() || f.in.Update.Reach != Assigned && currentPartition(f) == 0
}

// finishRollout makes the update revision the stable one.
func finishRollout(f facts) state {
	s := enterPhase(f, completed, cause{reason: v1alpha1.ReasonDelivered})
	s.stable, s.EndTime, s.Updated = f.in.Update.Name, f.currentTime(), int32(len(f.pods))
	return s
}

// rolloutOutcome returns how the rollout ended, or that it has not.
func rolloutOutcome(f facts) v1alpha1.RolloutOutcome {
	switch f.state.phase() {
	case completed:
		if len(f.state.FailedPods) >= f.in.failureThreshold() {
			return v1alpha1.OutcomeFailed
		}
		return v1alpha1.OutcomeSucceeded
	case rolledBack:
		return v1alpha1.OutcomeRolledBack
	case stopped:
		return v1alpha1.OutcomeStopped
	}
	return v1alpha1.OutcomeRunning
}
