// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import (
	"sync"

	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/kuda-io/kuda/internal/placement/index"
)

// maxAnswers bounds how many are remembered.
const maxAnswers = 1024

// answer is a Demand with what follows from it for every pod that wants the same.
type answer struct {
	*index.Demand
	// full are the nodes that have all that is required; nil where nothing is.
	full sets.Set[string]
	// withoutRoom are the nodes that lack room.
	withoutRoom sets.Set[string]
	// whole are the nodes that have everything, required or not.
	whole []string
	// near are these, and those that have so much that for few pods or downloads
	// they can be worth as much as one of these.
	near sets.Set[string]
	// scores are made when first scored with; cycles follow one another.
	scores *scoreCache
}

// restrictsNodes reports whether some node is excluded.
func (a *answer) restrictsNodes() bool { return a.full != nil || len(a.withoutRoom) > 0 }

// allowsNode reports whether a node is not excluded.
func (a *answer) allowsNode(node string) bool {
	return (a.full == nil || a.full.Has(node)) && !a.withoutRoom.Has(node)
}

// answers keeps the answers as long as their Demand is the newest.
type answers struct {
	room    bool
	weights index.Weights

	mu sync.Mutex
	of map[*index.Demand]*answer
}

func newAnswers(room bool, weights index.Weights) *answers {
	return &answers{room: room, weights: weights, of: map[*index.Demand]*answer{}}
}

func (a *answers) get(d *index.Demand) *answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	if known := a.of[d]; known != nil {
		return known
	}
	made := &answer{Demand: d}
	made.whole, made.near = nodesNearData(d, a.weights)
	if d.Required > 0 {
		made.full = sets.New[string]()
		for _, node := range d.Holders() {
			if d.Satisfied(node) {
				made.full.Insert(node)
			}
		}
	}
	if a.room {
		made.withoutRoom = sets.New(d.NodesWithoutRoom()...)
	}
	if len(a.of) >= maxAnswers {
		clear(a.of)
	}
	a.of[d] = made
	return made
}

// nodesNearData returns the nodes that have everything, and those near them.
func nodesNearData(d *index.Demand, w index.Weights) (whole []string, near sets.Set[string]) {
	near = sets.New[string]()
	least := leastWhole(w)
	for _, node := range d.Holders() {
		held, _ := d.On(node)
		if held.Items == len(d.Wants) {
			whole = append(whole, node)
		} else if index.Score(index.Facts{Total: d.Total, Held: held.Bytes, Downloading: held.Downloading, Rack: d.Total, Zone: d.Total,
			Caches: d.Caches(), Cached: d.Total}, w) < least {
			continue
		}
		near.Insert(node)
	}
	return whole, near
}
