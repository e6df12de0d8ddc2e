// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"cmp"
	"hash/fnv"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// outdatedPods returns the pods that are not on the update revision.
func (r *run) outdatedPods() []Pod {
	var others []Pod
	for _, p := range r.Pods {
		if p.Revision != r.Update.Name {
			others = append(others, p)
		}
	}
	return others
}

// candidateMoves returns the pods that are to be moved at some time, in a stable
// order, and how many are kept from the update revision.
func (r *run) candidateMoves() (movable []Move, held int) {
	// One without a revision gets Plan.New now; the partition counts it.
	others := r.sortPods(r.outdatedPods())
	if r.Paused || r.onDelete() {
		return nil, len(others)
	}
	quota := len(others)
	if !r.updateIsStable() {
		quota = max(0, quota-r.currentPartition())
	}
	for i, p := range others {
		target := r.Update.Name
		if i >= quota {
			target = r.current
			held++
		}
		if p.Revision != "" && p.Revision != target {
			movable = append(movable, Move{UID: p.UID, Revision: target})
		}
	}
	return movable, held
}

// withinBudget returns the moves that may be made now.
//
// An available pod takes from the budget, which the unavailable ones have used
// up first. An unavailable pod loses nothing by being moved, and that may be
// what helps it; only one that may yet come right by itself is not thrown after
// others onto an update that has not proved itself.
func (r *run) withinBudget(movable []Move) []Move {
	pods := r.byUID()
	budget, trial := r.remainingBudget(), r.maxUnavailable()
	for _, p := range r.Pods {
		if p.Revision == r.Update.Name && !r.isUpdated(p) {
			trial--
		}
	}
	hopeless := func(p Pod) bool { return !p.Delivered && (p.Failed || p.Revision != r.current) }
	movable = r.inTurn(movable, pods)
	for _, m := range movable {
		if hopeless(pods[m.UID]) {
			trial--
		}
	}
	var moves []Move
	for _, m := range movable {
		switch p := pods[m.UID]; {
		case hopeless(p):
		case !r.isAvailable(p) && trial > 0:
			trial--
		case r.isAvailable(p) && budget > 0:
			budget--
		default:
			continue
		}
		moves = append(moves, m)
	}
	return moves
}

// inTurn keeps, of the moves to the update revision, those of the first group
// that is not finished.
func (r *run) inTurn(movable []Move, pods map[types.UID]Pod) []Move {
	if r.Strategy.RollingUpdate == nil || r.Strategy.RollingUpdate.TopologyKey == "" {
		return movable
	}
	var open []string
	for _, p := range r.Pods {
		if p.Revision == r.Update.Name && !r.isDone(p) {
			open = append(open, p.Group)
		}
	}
	for _, m := range movable {
		if m.Revision == r.Update.Name {
			open = append(open, pods[m.UID].Group)
		}
	}
	if len(open) == 0 {
		return movable
	}
	first := slices.Min(open)
	return slices.DeleteFunc(slices.Clone(movable), func(m Move) bool {
		return m.Revision == r.Update.Name && pods[m.UID].Group != first
	})
}

// remainingBudget returns how many available pods may be moved now. Every unavailable pod
// uses it, but one that was not Ready before it was moved and has not been since.
func (r *run) remainingBudget() int {
	budget := r.maxUnavailable()
	for _, p := range r.Pods {
		if !r.isAvailable(p) && (!r.unreadyBeforeMove(p) || readinessChanged(p)) {
			budget--
		}
	}
	return budget
}

func (r *run) byUID() map[types.UID]Pod {
	pods := make(map[types.UID]Pod, len(r.Pods))
	for _, p := range r.Pods {
		pods[p.UID] = p
	}
	return pods
}

// sortPods returns the pods in the order in which they are moved: by group; within
// a group, pods that existed when the rollout began before pods that were created
// since; and among these by a hash that spreads them evenly and never changes,
// because it depends on the UID only. A partition so holds the newest pods back
// first: they began with the stable revision, and keep it.
func (r *run) sortPods(pods []Pod) []Pod {
	type keyed struct {
		Pod
		came int
		hash uint64
	}
	all := make([]keyed, 0, len(pods))
	for _, p := range pods {
		all = append(all, keyed{p, r.creationRank(p), hashUID(p.UID)})
	}
	slices.SortFunc(all, func(a, b keyed) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.came, b.came), cmp.Compare(a.hash, b.hash), cmp.Compare(a.UID, b.UID))
	})
	sorted := make([]Pod, 0, len(all))
	for _, k := range all {
		sorted = append(sorted, k.Pod)
	}
	return sorted
}

// creationRank returns 0 for a pod that was there when the rollout began, else 1.
func (r *run) creationRank(p Pod) int {
	if start := r.state.StartTime; start != nil && !p.Born.Before(start.Truncate(time.Second)) {
		return 1
	}
	return 0
}

func hashUID(uid types.UID) uint64 {
	h := fnv.New64a()
	h.Write([]byte(uid))
	return h.Sum64()
}

func (r *run) maxUnavailable() int {
	value := intstr.FromString("25%")
	if u := r.Strategy.RollingUpdate; u != nil && u.MaxUnavailable != nil {
		value = *u.MaxUnavailable
	}
	return max(1, scaledValue(value, len(r.Pods)))
}

// scaledValue rounds up. The API server has checked the form; what it would refuse
// counts as 0, the careful value in all uses.
func scaledValue(value intstr.IntOrString, total int) int {
	n, err := intstr.GetScaledValueFromIntOrPercent(&value, total, true)
	if err != nil {
		return 0
	}
	return n
}
