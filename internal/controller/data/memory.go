// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package data

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
)

// memory holds the failures of items that have been seen, so that an item that
// is tried again and fails as before is not news. What it forgets with the
// process it learns again from the first state of each Data.
type memory struct {
	mu    sync.Mutex
	datas map[types.UID]map[itemName]failure
}

type itemName struct{ namespace, name string }

// failure is what makes two failures of an item the same.
type failure struct{ version, reason string }

// recordState records a state without an event.
func (m *memory) recordState(d *v1alpha1.Data) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.recordFailures(d)
}

// forgetData drops a Data that is gone.
func (m *memory) forgetData(uid types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.datas, uid)
}

// newFailures returns the items whose failure was not known before.
func (m *memory) newFailures(before, after *v1alpha1.Data) []*v1alpha1.DataItemStatus {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.datas[after.UID] == nil {
		m.recordFailures(before)
	}
	return m.recordFailures(after)
}

// recordFailures records the failures of a state and returns the new ones. A failure is
// over when its item is delivered, not when it is tried again.
func (m *memory) recordFailures(d *v1alpha1.Data) []*v1alpha1.DataItemStatus {
	if !assignment.Current(d) {
		return nil
	}
	var fresh []*v1alpha1.DataItemStatus
	known := m.datas[d.UID]
	for i := range d.Status.DataItemsStatus {
		item := &d.Status.DataItemsStatus[i]
		name := itemName{item.Namespace, item.Name}
		switch item.Phase {
		case v1alpha1.DataSuccess:
			delete(known, name)
		case v1alpha1.DataFailed:
			seen := failure{item.Version, item.Reason}
			if old, ok := known[name]; ok && old == seen {
				continue
			}
			if known == nil {
				known = make(map[itemName]failure)
			}
			known[name] = seen
			fresh = append(fresh, item)
		default:
		}
	}
	if len(known) == 0 {
		delete(m.datas, d.UID)
		return fresh
	}
	if m.datas == nil {
		m.datas = make(map[types.UID]map[itemName]failure)
	}
	m.datas[d.UID] = known
	return fresh
}
