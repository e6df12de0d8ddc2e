// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// maxAttempts bounds how many pods are remembered.
const maxAttempts = 1 << 14

// attempts are the pods that have no node yet and of which an attempt looked at some
// nodes only. What the pod itself says of an attempt that failed may come later than
// the next one.
type attempts struct {
	mu   sync.Mutex
	pods map[types.UID]struct{}
}

func newAttempts() *attempts { return &attempts{pods: map[types.UID]struct{}{}} }

func (a *attempts) put(pod types.UID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.pods) >= maxAttempts {
		clear(a.pods)
	}
	a.pods[pod] = struct{}{}
}

func (a *attempts) has(pod types.UID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.pods[pod]
	return ok
}

func (a *attempts) remove(pod types.UID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.pods, pod)
}
