// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// checked remembers the generations of Data whose specs were compared with what their
// revision holds. A spec does not change within a generation, nor what a revision holds, so
// a pass compares the specs that changed, and not those of all pods.
type checked struct {
	mu   sync.Mutex
	sets map[types.NamespacedName]map[types.UID]int64
}

// record notes that the Data has what its revision holds.
func (c *checked) record(set types.NamespacedName, d *v1alpha1.Data) {
	if d.Generation == 0 {
		return // an API server counts from 1
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sets == nil {
		c.sets = make(map[types.NamespacedName]map[types.UID]int64)
	}
	if c.sets[set] == nil {
		c.sets[set] = make(map[types.UID]int64)
	}
	c.sets[set][d.UID] = d.Generation
}

// isUnchanged reports whether the pod's Data is known to have all of the revision, and the
// revision to prefetch beside it.
func (c *checked) isUnchanged(set types.NamespacedName, x *replica, revision, prefetch string) bool {
	d := x.data
	if d == nil || d.Spec.Revision != revision || d.Spec.PrefetchRevision != prefetch || d.Spec.PodName != x.pod.Name {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	generation, ok := c.sets[set][d.UID]
	return ok && generation == d.Generation
}

// keepLive drops what is remembered of Data that are gone, once there are as many as those
// that are not.
func (c *checked) keepLive(set types.NamespacedName, live []*replica) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.sets[set]
	if len(known) <= 2*len(live) {
		return
	}
	kept := make(map[types.UID]int64, len(live))
	for _, x := range live {
		if x.data == nil {
			continue
		}
		if generation, ok := known[x.data.UID]; ok {
			kept[x.data.UID] = generation
		}
	}
	c.sets[set] = kept
}

func (c *checked) forgetDataSet(set types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.sets, set)
}
