// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// maxTried bounds how many pods are remembered.
const maxTried = 1 << 14

// tried are the pods that have no node yet and of which an attempt looked at some
// nodes only. What the pod itself says of an attempt that failed may come later than
// the next one.
type tried struct {
	mu   sync.Mutex
	pods map[types.UID]struct{}
}

func newTried() *tried { return &tried{pods: map[types.UID]struct{}{}} }

func (t *tried) put(pod types.UID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.pods) >= maxTried {
		clear(t.pods)
	}
	t.pods[pod] = struct{}{}
}

func (t *tried) has(pod types.UID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.pods[pod]
	return ok
}

func (t *tried) remove(pod types.UID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.pods, pod)
}
