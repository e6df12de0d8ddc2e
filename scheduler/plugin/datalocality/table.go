// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import (
	"sync"

	"github.com/kuda-io/kuda/internal/locality"
)

// places are the racks and zones of the nodes.
type places struct {
	mu      sync.RWMutex
	of      map[string]place
	version int64
}

type place struct{ rack, zone string }

func newPlaces() *places { return &places{of: map[string]place{}} }

func (x *places) set(node string, p place) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if before, ok := x.of[node]; ok && before == p {
		return
	}
	x.of[node] = p
	x.version++
}

func (x *places) delete(node string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.of, node)
	x.version++
}

func (x *places) get(node string) place {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.of[node]
}

// table is what the nodes are worth to a pod that wants the same as others did,
// but for the pods that run there: most nodes are then one look into a map.
type table struct {
	version int64
	rows    map[string]row
}

// row is the score of a node without pods. Those of holders are added to it.
type row struct {
	score  int64
	holder bool
}

// tableOf makes the answer's table unless it has one of these places.
func (x *places) tableOf(a *answer, w locality.Weights) *table {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if t := a.table; t != nil && t.version == x.version {
		return t
	}
	t := &table{version: x.version, rows: make(map[string]row, len(x.of))}
	for node, p := range x.of {
		facts := a.Facts(node, p.rack, p.zone)
		t.rows[node] = row{score: locality.Score(facts, w), holder: facts.Held > 0}
	}
	a.table = t
	return t
}
