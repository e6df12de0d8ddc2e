// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

// moves are what pods are to do in the phase that the rollout is in.
type moves struct {
	// now are to be made now, of those that are to be made at some time.
	movable, now []Move
	// held pods are kept from the update revision.
	held int
}

// planMoves returns the moves of the phase.
func planMoves(f facts) moves {
	switch f.state.phase() {
	case rollingBack, rolledBack:
		return returnMoves(f, f.in.onDelete(), func(p podFacts) bool { return p.Revision != "" && p.Revision != f.state.stable })
	case retrying:
		return returnMoves(f, f.in.Paused, func(p podFacts) bool { return p.toReturn })
	case stopped:
		return moves{held: len(f.outdatedPods())}
	}
	m := candidateMoves(f)
	if !f.state.isIn(prefetching) {
		m.now = withinBudget(f, m.movable)
	}
	return m
}

// candidateMoves returns the moves that are to be made at some time, in a stable
// order, and how many pods are kept from the update revision.
func candidateMoves(f facts) moves {
	// One without a revision gets Plan.New now; the partition counts it.
	others := sortPods(f, f.outdatedPods())
	if f.in.Paused || f.in.onDelete() {
		return moves{held: len(others)}
	}
	quota := len(others)
	if !f.updateIsStable() {
		quota = max(0, quota-currentPartition(f))
	}
	m := moves{held: len(others) - quota}
	for i, p := range others {
		target := f.in.Update.Name
		if i >= quota {
			target = f.state.stable
		}
		if p.Revision != "" && p.Revision != target {
			m.movable = append(m.movable, Move{UID: p.UID, Revision: target})
		}
	}
	return m
}

// returnMoves returns the moves to the stable revision, within the budget, of pods
// that are to go there. It is known to work, so unavailable pods go at once,
// whatever their number.
func returnMoves(f facts, held bool, wanted func(podFacts) bool) moves {
	m := moves{held: len(f.outdatedPods())}
	if held {
		return m
	}
	budget := remainingBudget(f)
	for _, p := range sortPods(f, f.pods) {
		switch {
		case !wanted(p), p.available && budget <= 0:
			continue
		case p.available:
			budget--
		}
		m.now = append(m.now, Move{UID: p.UID, Revision: f.state.stable})
	}
	m.movable = m.now
	return m
}

// notStartedMoves returns the moves that give every pod that has not started
// what a new pod gets now. A pod without a revision gets it anyway.
func notStartedMoves(f facts) []Move {
	var now []Move
	for _, p := range f.notStarted {
		if revision := f.newPodRevision(); p.Revision != "" && p.Revision != revision {
			now = append(now, Move{UID: p.UID, Revision: revision})
		}
	}
	return now
}
