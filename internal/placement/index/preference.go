// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package index

import (
	"cmp"
	"slices"
)

// MaxPreferences is how many nodes a pod is given to prefer: each costs the
// scheduler time for each node that it looks at.
const MaxPreferences = 16

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
	list := make([]Preference, 0, len(d.holders))
	for _, node := range d.holders {
		h := d.held[node]
		weight := percentOf(h.Bytes, d.Total)
		if d.Total == 0 {
			weight = percentOf(int64(h.Items), int64(len(d.Wants)))
		}
		list = append(list, Preference{Node: node, Weight: int32(max(1, weight))})
	}
	if len(list) <= limit {
		return list
	}
	slices.SortFunc(list, func(a, b Preference) int {
		return cmp.Or(cmp.Compare(b.Weight, a.Weight), cmp.Compare(hashName(a.Node, seed), hashName(b.Node, seed)), cmp.Compare(a.Node, b.Node))
	})
	return list[:limit]
}

// hashName is a hash of a name that is another one for each seed: FNV-1a, and then
// the finalizer of MurmurHash3, without which names that differ in their last
// character alone would keep their order under most seeds.
func hashName(name string, seed uint64) uint64 {
	const prime = 1099511628211
	h := 14695981039346656037 ^ seed
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * prime
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
