// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"slices"

	"github.com/kuda-io/kuda/internal/delivery/keeper/census"
	"github.com/kuda-io/kuda/internal/delivery/keeper/room"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
)

// stockOf is what a store would say of itself: how much of the disk a download may have
// once everything in this store that is not used is evicted.
func stockOf(s *census.Store, disk room.Disk, quota, reserve int64) *store.Stock {
	k := &store.Stock{ID: s.ID, Capacity: disk.Size, Free: disk.Free, Quota: quota}
	free, used, promised := disk.Free, int64(0), int64(0)
	for i := range s.Snapshots {
		snap := &s.Snapshots[i]
		k.Snapshots = append(k.Snapshots, snap.Snapshot)
		k.Used += snap.Bytes
		if snap.Needed || snap.Leased {
			used += snap.Bytes
		} else {
			free += snap.Bytes
		}
	}
	for i := range s.Partials {
		if p := &s.Partials[i]; p.Running {
			k.Downloads = append(k.Downloads, p.Snapshot)
			promised += p.Bytes
			free -= p.Bytes
		}
	}
	slices.SortStableFunc(k.Snapshots, func(a, b store.Snapshot) int { return a.Used.Compare(b.Used) })
	k.Available = max(free-reserve, 0)
	if quota > 0 {
		k.Available = min(k.Available, max(quota-used-promised, 0))
	}
	return k
}

func wantedOf(s *census.Store) map[snapshot.ID]bool {
	wanted := map[snapshot.ID]bool{}
	for i := range s.Snapshots {
		if s.Snapshots[i].Wanted {
			wanted[s.Snapshots[i].ID] = true
		}
	}
	return wanted
}

func toUint64(n int64) uint64 { return uint64(max(n, 0)) }
