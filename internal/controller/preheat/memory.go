// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package preheat

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/backoff"
)

// memory holds the state of each preheat from pass to pass. The status has most of
// it, for people and for the next leader; it has no room for thousands of nodes,
// nor for how often each failed.
type memory struct {
	mu   sync.Mutex
	sets map[types.NamespacedName]entry
}

type entry struct {
	uid     types.UID
	state   State
	trouble *trouble
}

// get returns the state before this pass, and what kept pods from being made.
func (m *memory) get(d *v1alpha1.DataSet) (State, *trouble) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.sets[client.ObjectKeyFromObject(d)]
	if !ok || e.uid != d.UID {
		return stateOf(d.Status.Preheat), nil
	}
	if e.trouble != nil && e.trouble.generation != d.Generation {
		e.trouble = nil // the cause was acted on
	}
	return e.state, e.trouble
}

func (m *memory) put(d *v1alpha1.DataSet, state State, t *trouble) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sets == nil {
		m.sets = make(map[types.NamespacedName]entry)
	}
	m.sets[client.ObjectKeyFromObject(d)] = entry{d.UID, state, t}
}

func (m *memory) forgetDataSet(name types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.sets, name)
}

const minObstaclePause = 5 * time.Second

// trouble is an obstacle, and when the way is tried again. Nothing tells when a
// right is given back or the webhook has returned.
type trouble struct {
	what  obstacle
	times int
	next  time.Time
	// generation of the DataSet that met it.
	generation int64
}

// afterRetry is the trouble after one more try.
func (t *trouble) afterRetry(o obstacle, generation int64, now time.Time) *trouble {
	times := 1
	if t != nil {
		times = t.times + 1
	}
	return &trouble{what: o, times: times, next: now.Add(obstaclePause(times)), generation: generation}
}

// obstaclePause is how long nothing is tried after so many refusals. The first are
// short: a webhook that is restarted is back in seconds, and asking is one call.
func obstaclePause(times int) time.Duration {
	return backoff.Doubled(minObstaclePause, maxBackoff, times-1)
}

func (t *trouble) nextTry() time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.next
}

func (t *trouble) remainingWait(now time.Time) time.Duration {
	if t == nil {
		return 0
	}
	return max(0, t.next.Sub(now))
}

func (t *trouble) currentObstacle() *obstacle {
	if t == nil {
		return nil
	}
	return &t.what
}
