// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"cmp"
	"hash/fnv"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// withinBudget returns the moves that may be made now.
//
// An available pod takes from the budget, which the unavailable ones have used
// up first. An unavailable pod loses nothing by being moved, and that may be
// what helps it; only one that may yet come right by itself is not thrown after
// others onto an update that has not proved itself.
func withinBudget(f facts, movable []Move) []Move {
	pods := make(map[types.UID]podFacts, len(f.pods))
	for _, p := range f.pods {
		pods[p.UID] = p
	}
	cannotRecover := func(p podFacts) bool { return !p.Delivered && (p.Failed || p.Revision != f.state.stable) }
	movable = firstGroup(f, movable, pods)
	budget := remainingBudget(f)
	trial := f.in.maxUnavailable() - f.countPods(func(p podFacts) bool { return !p.outdated && !p.updated })
	for _, m := range movable {
		if cannotRecover(pods[m.UID]) {
			trial--
		}
	}
	var now []Move
	for _, m := range movable {
		switch p := pods[m.UID]; {
		case cannotRecover(p):
		case !p.available && trial > 0:
			trial--
		case p.available && budget > 0:
			budget--
		default:
			continue
		}
		now = append(now, m)
	}
	return now
}

// firstGroup keeps, of the moves to the update revision, those of the first group
// that is not finished.
func firstGroup(f facts, movable []Move, pods map[types.UID]podFacts) []Move {
	if u := f.in.Strategy.RollingUpdate; u == nil || u.TopologyKey == "" {
		return movable
	}
	var open []string
	for _, p := range f.pods {
		if !p.outdated && !p.done {
			open = append(open, p.Group)
		}
	}
	for _, m := range movable {
		if m.Revision == f.in.Update.Name {
			open = append(open, pods[m.UID].Group)
		}
	}
	if len(open) == 0 {
		return movable
	}
	first := slices.Min(open)
	return slices.DeleteFunc(slices.Clone(movable), func(m Move) bool {
		return m.Revision == f.in.Update.Name && pods[m.UID].Group != first
	})
}

// remainingBudget returns how many available pods may be moved now.
func remainingBudget(f facts) int {
	return f.in.maxUnavailable() - f.countPods(func(p podFacts) bool { return p.usesBudget })
}

// sortPods returns the pods in the order in which they are moved: by group; within
// a group, pods that existed when the rollout began before pods that were created
// since; and among these by a hash that spreads them evenly and never changes,
// because it depends on the UID only. A partition so holds the newest pods back
// first: they began with the stable revision, and keep it.
func sortPods(f facts, pods []podFacts) []podFacts {
	type keyed struct {
		podFacts
		rank int
		hash uint64
	}
	all := make([]keyed, 0, len(pods))
	for _, p := range pods {
		all = append(all, keyed{p, creationRank(f, p), hashUID(p.UID)})
	}
	slices.SortFunc(all, func(a, b keyed) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.rank, b.rank), cmp.Compare(a.hash, b.hash), cmp.Compare(a.UID, b.UID))
	})
	sorted := make([]podFacts, 0, len(all))
	for _, k := range all {
		sorted = append(sorted, k.podFacts)
	}
	return sorted
}

// creationRank returns 0 for a pod that was there when the rollout began, else 1.
func creationRank(f facts, p podFacts) int {
	if start := f.state.StartTime; start != nil && !p.Born.Before(start.Truncate(time.Second)) {
		return 1
	}
	return 0
}

func hashUID(uid types.UID) uint64 {
	h := fnv.New64a()
	h.Write([]byte(uid))
	return h.Sum64()
}
