// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

// splitStarted separates the pods whose runtime has run from those whose runtime
// never has. The latter are treated as pods that do not exist yet: they use no
// budget, belong to no group, are not waited for, and are not counted.
func splitStarted(pods []Pod) (started, notStarted []Pod) {
	for _, p := range pods {
		if p.NotStarted {
			notStarted = append(notStarted, p)
		} else {
			started = append(started, p)
		}
	}
	return started, notStarted
}

// reassignNotStarted returns the moves that give every pod that has not started
// what a new pod gets now. A pod without a revision gets it anyway.
func (r *run) reassignNotStarted() []Move {
	var moves []Move
	for _, p := range r.notStarted {
		if revision := r.newPodRevision(); p.Revision != "" && p.Revision != revision {
			moves = append(moves, Move{UID: p.UID, Revision: revision})
		}
	}
	return moves
}
