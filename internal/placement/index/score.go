// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package index

import "math/bits"

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
	// Cache: the share that is on the node, or that a cache has there; it counts
	// only where a cache was filled with some of it.
	Cache int64
	// Spread: that the node has few pods of the same DataSets, compared with
	// other nodes that hold the data.
	Spread int64
}

// DefaultWeights put a node with all of the data before one without, however
// the other dimensions are.
func DefaultWeights() Weights {
	return Weights{Node: 70, Rack: 5, Zone: 5, Downloads: 10, Cache: 5, Spread: 10}
}

// Facts of one node for one pod.
type Facts struct {
	// Total bytes that the pod wants; the others are of these.
	Total, Held, Downloading, Rack, Zone int64
	// Caches: caches were filled with some of it; Cached bytes are in one on the node.
	Caches bool
	Cached int64
	// Downloads that run on the node.
	Downloads int
	// Pods of the same DataSets on the node, and on the node with the most.
	Pods, MostPods int
}

// Score is the worth of a node to a pod, from 0 to MaxScore. It allocates nothing.
func Score(f Facts, w Weights) int64 {
	sum := w.Sum(f.Caches)
	if sum <= 0 {
		return 0
	}
	held := f.Held + f.Downloading/2
	points := w.Node*percentOf(held, f.Total) + w.Rack*percentOf(f.Rack, f.Total) + w.Zone*percentOf(f.Zone, f.Total) +
		w.Downloads*(MaxScore/int64(1+max(0, f.Downloads))) + w.Spread*(MaxScore-percentOf(int64(f.Pods), int64(f.MostPods)))
	if f.Caches {
		points += w.Cache * percentOf(max(held, f.Cached), f.Total)
	}
	return points / sum
}

// Sum returns what the weights come to, with or without that of caches.
func (w Weights) Sum(caches bool) int64 {
	sum := w.Node + w.Rack + w.Zone + w.Downloads + w.Spread
	if caches {
		sum += w.Cache
	}
	return sum
}

// percentOf returns the part in percent of the whole, from 0 to 100; 0 of nothing.
func percentOf(part, whole int64) int64 {
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
