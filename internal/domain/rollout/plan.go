// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import "slices"

// Decide makes the plan. Applied to what it returned, with nothing changed, it
// returns the same again.
func Decide(in Input) Plan {
	f := advancePhase(newFacts(in))
	return buildPlan(f, planMoves(f))
}

// buildPlan puts together what is to be done and what there is to say of it.
func buildPlan(f facts, m moves) Plan {
	p := Plan{
		Current:  f.state.stable,
		New:      f.newPodRevision(),
		Moves:    slices.Concat(m.now, notStartedMoves(f)),
		HeldBack: m.held,
		Complete: f.isActive() && len(m.movable) == 0 && f.allPodsDone(),
		State:    f.state.RolloutStatus,
		Outcome:  rolloutOutcome(f),
		Measure:  dueMeasurement(f),
		Wake:     nextWake(f, m),
		Updated:  f.countPods(func(p podFacts) bool { return p.updated }),
		Failed:   f.failedPods(),
		Failures: f.state.failures,
		Waits:    currentWait(f, m),

		NotStarted: len(f.notStarted),
	}
	if f.shouldPrefetch() {
		p.Prefetch = f.in.Update.Name
		p.Filler = cacheFiller(f)
	}
	return p
}
