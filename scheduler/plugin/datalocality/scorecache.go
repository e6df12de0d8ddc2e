// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import (
	"github.com/kuda-io/kuda/internal/placement/index"
)

// maxFew is how many nodes are scored before a pod's cycle asks for any.
const maxFew = 64

// scoreCache is what the nodes are worth to a pod that wants the same as others did,
// but for the pods that run there.
type scoreCache struct {
	version int64
	// rest is the score of all nodes but those in rows, as most are: without the
	// data, in zones that have it, or that have not. A node that has just come is
	// taken for one of them.
	rest int64
	rows map[string]row
}

// row is the score of a node without pods. Those of holders are added to it.
type row struct {
	score  int64
	holder bool
}

// cachedScores returns the answer's scores, and makes them unless they are of these places.
func (x *places) cachedScores(a *answer, w index.Weights) *scoreCache {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if t := a.scores; t != nil && t.version == x.version {
		return t
	}
	all, often := make(map[string]row, len(x.of)), map[int64]int{}
	for node, p := range x.of {
		facts := a.Facts(node, p.rack, p.zone)
		r := row{score: index.Score(facts, w), holder: facts.Held > 0}
		all[node] = r
		if !r.holder {
			often[r.score]++
		}
	}
	t := &scoreCache{version: x.version, rows: map[string]row{}}
	for score, n := range often {
		if n > often[t.rest] || n == often[t.rest] && score > t.rest {
			t.rest = score
		}
	}
	for node, r := range all {
		if r.holder || r.score != t.rest {
			t.rows[node] = r
		}
	}
	a.scores = t
	return t
}
