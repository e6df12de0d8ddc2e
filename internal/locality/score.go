// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package locality

import (
	"math/bits"
	"slices"
)

// MaxScore is the best that Score gives.
const MaxScore = 100

// Weights say how much each dimension counts, from 0 to 100 each; what matters
// is their ratio.
type Weights struct {
	// Node: the share of the pod's bytes that is on the node, downloads that
	// bring them included at half.
	Node int64
	// Rack and Zone: the share that is on nodes of the same rack or zone.
	Rack, Zone int64
	// Downloads: that few downloads run on the node already.
	Downloads int64
	// Spread: that the node has few pods of the same DataSets, compared with
	// other nodes that hold the data.
	Spread int64
}

// DefaultWeights put a node with all of the data before one without, however
// the other dimensions are.
func DefaultWeights() Weights { return Weights{Node: 70, Rack: 5, Zone: 5, Downloads: 10, Spread: 10} }

// Facts of one node for one pod.
type Facts struct {
	// Total bytes that the pod wants; the others are of these.
	Total, Held, Downloading, Rack, Zone int64
	// Downloads that run on the node.
	Downloads int
	// Pods of the same DataSets on the node, and on the node with the most.
	Pods, MostPods int
}

// Score is the worth of a node to a pod, from 0 to MaxScore. It allocates nothing.
func Score(f Facts, w Weights) int64 {
	sum := w.Node + w.Rack + w.Zone + w.Downloads + w.Spread
	if sum <= 0 {
		return 0
	}
	points := w.Node*percent(f.Held+f.Downloading/2, f.Total) + w.Rack*percent(f.Rack, f.Total) + w.Zone*percent(f.Zone, f.Total) +
		w.Downloads*(MaxScore/int64(1+max(0, f.Downloads))) + w.Spread*(MaxScore-percent(int64(f.Pods), int64(f.MostPods)))
	return points / sum
}

// percent of the whole, from 0 to 100; 0 of nothing.
func percent(part, whole int64) int64 {
	if whole <= 0 || part <= 0 {
		return 0
	}
	if part >= whole {
		return MaxScore
	}
	high, low := bits.Mul64(uint64(part), MaxScore)
	quotient, _ := bits.Div64(high, low, uint64(whole))
	return int64(quotient)
}

// Preference is a node that a pod is better on.
type Preference struct {
	Node string
	// Weight from 1 to 100: the share of the pod's bytes that the node holds.
	Weight int32
}

// Preferences are the nodes that hold some of the data, at most so many, those
// with most of it first. Where more nodes hold the same than are listed, seed
// decides which: pods that are made together are not all sent to the same.
func Preferences(d *Demand, limit int, seed uint64) []Preference {
	var list []Preference
	for _, node := range d.holders {
		h := d.held[node]
		weight := percent(h.Bytes, d.Total)
		if d.Total == 0 {
			weight = percent(int64(h.Items), int64(len(d.Wants)))
		}
		list = append(list, Preference{Node: node, Weight: int32(max(1, weight))})
	}
	if len(list) <= limit {
		return list
	}
	slices.SortStableFunc(list, func(a, b Preference) int {
		if a.Weight != b.Weight {
			return int(b.Weight - a.Weight)
		}
		x, y := mix(a.Node, seed), mix(b.Node, seed)
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	return list[:limit]
}

// mix is FNV-1a of a name, begun with the seed.
func mix(name string, seed uint64) uint64 {
	const prime = 1099511628211
	h := 14695981039346656037 ^ seed
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * prime
	}
	return h
}
