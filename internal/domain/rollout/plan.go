// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"slices"
	"time"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// run is one plan in the making.
type run struct {
	Input
	// state becomes Plan.State.
	state v1alpha1.RolloutStatus
	// notStarted are the pods that Input.Pods lacks here, because they have no part
	// in any decision.
	notStarted []Pod
	// current is the stable revision.
	current string
	// failures becomes Plan.Failures.
	failures map[string]string
}

// Decide makes the plan. Applied to what it returned, with nothing changed, it
// returns the same again.
func Decide(in Input) Plan {
	// Times are compared with ones that were written with this precision.
	in.Now = in.Now.Truncate(time.Microsecond)
	r := &run{Input: in, current: stableRevision(in)}
	r.Pods, r.notStarted = splitStarted(in.Pods)
	r.restoreState()
	r.applyRequest()
	r.recordMeasurement()
	r.handleFailures()
	r.advancePhase()
	s := r.surveyPods()
	r.recordProgress(s)
	if r.deadlineExceeded(s) {
		r.giveUp()
		r.advancePhase()
		s = r.surveyPods()
		r.recordProgress(s)
	}
	r.setStateReason(s)
	return r.buildPlan(s)
}

// survey is what the pods are to do in the phase that the rollout is in now.
type survey struct {
	// moves are to be made now, of those that are to be made at some time.
	movable, moves []Move
	held           int
	waits          Wait
}

func (r *run) surveyPods() survey {
	var s survey
	switch {
	case r.isReturning():
		s.moves, s.held = r.rollbackMoves()
		s.movable = s.moves
	case r.isRetrying():
		s.moves, s.held = r.retryMoves()
		s.movable = s.moves
	case r.state.Phase == v1alpha1.RolloutStopped:
		s.held = len(r.outdatedPods())
	default:
		s.movable, s.held = r.candidateMoves()
		if r.state.Phase != v1alpha1.RolloutPrefetching {
			s.moves = r.withinBudget(s.movable)
		}
	}
	s.waits = r.currentWait(s)
	return s
}

func (r *run) buildPlan(s survey) Plan {
	p := Plan{
		Current:  r.current,
		New:      r.newPodRevision(),
		Moves:    slices.Concat(s.moves, r.reassignNotStarted()),
		HeldBack: s.held,
		Complete: r.updateActive() && len(s.movable) == 0 && r.allPodsDone(),
		State:    r.state,
		Measure:  r.dueMeasurement(),
		Wake:     r.nextWake(s),
		Failed:   r.failedPods(),
		Failures: r.failures,
		Waits:    s.waits,

		NotStarted: len(r.notStarted),
	}
	for _, pod := range r.Pods {
		if r.isUpdated(pod) {
			p.Updated++
		}
	}
	if r.shouldPrefetch() {
		p.Prefetch = r.Update.Name
	}
	return p
}

// allPodsDone reports whether all pods have what they were told to have, and those on
// the update revision passed the gate.
func (r *run) allPodsDone() bool {
	for _, p := range r.Pods {
		if p.Revision == "" || p.Revision == r.Update.Name && !r.isUpdated(p) {
			return false
		}
	}
	return true
}
