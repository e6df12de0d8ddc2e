// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package nodestore

import (
	"math"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/bytesize"
)

// Sum computes a status' totals from its stores.
func Sum(s *v1alpha1.NodeStoreStatus) {
	var items, bytes int64
	var newest *v1alpha1.NamespaceStore
	for i := range s.Stores {
		store := &s.Stores[i]
		items += int64(store.OmittedSnapshots)
		bytes = saturatingAdd(bytes, store.OmittedBytes)
		for j := range store.Snapshots {
			if store.Snapshots[j].Phase == v1alpha1.SnapshotComplete {
				items++
				bytes = saturatingAdd(bytes, store.Snapshots[j].Bytes)
			}
		}
		if newest == nil || store.ObservedTime.After(newest.ObservedTime.Time) {
			newest = store
		}
	}
	s.Items, s.Bytes = int32(min(items, math.MaxInt32)), bytes
	s.Size, s.Free = bytesize.Text(bytes), ""
	if newest != nil {
		// The stores of a node share a file system; the newest word counts.
		s.Free = bytesize.Text(newest.FreeBytes)
	}
}

// saturatingAdd stays at the largest number where the sum is larger: runtimes may say
// any size.
func saturatingAdd(a, b int64) int64 { return a + min(max(b, 0), math.MaxInt64-a) }
