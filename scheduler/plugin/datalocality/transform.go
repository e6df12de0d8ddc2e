// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import (
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// trimManagedFields is a transform of informers.
func trimManagedFields(object any) (any, error) {
	if o, err := meta.Accessor(object); err == nil {
		o.SetManagedFields(nil)
	}
	return object, nil
}

// trimNodeStore keeps what the index reads; a NodeStore that stays in the cache
// is a few names and numbers for each snapshot.
func trimNodeStore(object any) (any, error) {
	n, ok := object.(*v1alpha1.NodeStore)
	if !ok {
		return object, nil
	}
	n.ManagedFields, n.Labels, n.Annotations = nil, nil, nil
	for i := range n.Status.Stores {
		snapshots := n.Status.Stores[i].Snapshots
		for j := range snapshots {
			snapshots[j] = v1alpha1.StoredSnapshot{Marks: snapshots[j].Marks, Bytes: snapshots[j].Bytes, Phase: snapshots[j].Phase}
		}
	}
	return n, nil
}
