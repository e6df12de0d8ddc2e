// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import "sync"

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
