// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package data

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// assignments remembers since when each Data has the revision that it has now, and
// since when its runtime does not run. What it forgets with the process it learns
// again, so that a new leader waits a little longer before it speaks.
type assignments struct {
	mu    sync.Mutex
	known map[types.UID]assigned
}

type assigned struct {
	revision string
	since    time.Time
	// down is since when the runtime does not run; zero: it runs.
	down time.Time
}

// trackAssignment returns since when the Data has its revision, and since when its runtime is down.
func (a *assignments) trackAssignment(d *v1alpha1.Data, down bool, now time.Time) (since, downSince time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	have, ok := a.known[d.UID]
	if !ok || have.revision != d.Spec.Revision {
		have.revision, have.since = d.Spec.Revision, now
	}
	switch {
	case !down:
		have.down = time.Time{}
	case have.down.IsZero():
		have.down = now
	}
	if a.known == nil {
		a.known = make(map[types.UID]assigned)
	}
	a.known[d.UID] = have
	return have.since, have.down
}

func (a *assignments) forgetData(uid types.UID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.known, uid)
}
