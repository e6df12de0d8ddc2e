// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package nodestore

import (
	"slices"
	"time"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/placement/index"
)

// change is how much two entries differ, which decides how long a write may wait.
type change int

const (
	// nothing differs that a decision depends on.
	nothing change = iota
	// room, and what is used when and by how many.
	figures
	// which snapshots there are.
	contents
)

// writeInterval is the time between two writes of the same node.
func (c change) writeInterval() time.Duration {
	if c == contents {
		return time.Second
	}
	return 10 * time.Second
}

// compareEntries returns the gravest difference of two entries of a namespace; the
// time of observation is none.
func compareEntries(before, after *v1alpha1.NamespaceStore) change {
	if hasOtherState(before, after) || before.OmittedSnapshots != after.OmittedSnapshots || len(before.Snapshots) != len(after.Snapshots) {
		return contents
	}
	known := make(map[string]*v1alpha1.StoredSnapshot, len(before.Snapshots))
	for i := range before.Snapshots {
		known[before.Snapshots[i].ID] = &before.Snapshots[i]
	}
	grade := nothing
	for i := range after.Snapshots {
		b, a := known[after.Snapshots[i].ID], &after.Snapshots[i]
		if b == nil {
			return contents
		}
		grade = max(grade, compareSnapshots(b, a))
	}
	if hasOtherFigures(before, after) {
		grade = max(grade, figures)
	}
	return grade
}

// hasOtherFigures reports whether figures of two entries differ by so much that it matters.
func hasOtherFigures(before, after *v1alpha1.NamespaceStore) bool {
	return before.CapacityBytes != after.CapacityBytes || before.UsedBytes != after.UsedBytes || before.OmittedBytes != after.OmittedBytes ||
		roomChanged(before.FreeBytes, after.FreeBytes) || roomChanged(before.AvailableBytes, after.AvailableBytes) ||
		verifiedAt(after).Sub(verifiedAt(before)) >= verifiedStep
}

// hasOtherState reports whether two entries are of different stores, or of a store in
// different states.
func hasOtherState(before, after *v1alpha1.NamespaceStore) bool {
	return before.NamespaceUID != after.NamespaceUID || before.StoreID != after.StoreID || before.BootID != after.BootID ||
		before.QuotaBytes != after.QuotaBytes || before.Unreadable != after.Unreadable || !slices.Equal(before.Damaged, after.Damaged)
}

// verifiedStep is by how much the time of verification must have moved to be worth a write.
const verifiedStep = time.Hour

func verifiedAt(e *v1alpha1.NamespaceStore) time.Time {
	if e.VerifiedTime == nil {
		return time.Time{}
	}
	return e.VerifiedTime.Time
}

func compareSnapshots(b, a *v1alpha1.StoredSnapshot) change {
	switch {
	case b.Phase != a.Phase, b.Digest != a.Digest, b.Preheated != a.Preheated, !slices.Equal(b.Marks, a.Marks),
		b.Source != a.Source, b.Path != a.Path, b.Version != a.Version,
		b.Bytes != a.Bytes && a.Phase == v1alpha1.SnapshotComplete:
		return contents
	case b.Bytes != a.Bytes, b.Pods != a.Pods, !lastUsed(*b).Equal(lastUsed(*a)):
		return figures
	default:
		return nothing
	}
}

// roomChanged reports whether room differs by more than a twentieth. A node's disk is
// never still; a change that affects no decision is not worth a write.
func roomChanged(before, after int64) bool {
	difference := max(before, after) - min(before, after)
	return difference > min(before, after)/20
}

// findEntry returns a namespace's entry, or nil.
func findEntry(s *v1alpha1.NodeStoreStatus, namespace string) *v1alpha1.NamespaceStore {
	for i := range s.Stores {
		if s.Stores[i].Namespace == namespace {
			return &s.Stores[i]
		}
	}
	return nil
}

// gradeEntries returns the gravest difference that entries make to a NodeStore. One
// that is no longer trusted must be written again, although it says the same.
// Nothing of a node that is not Ready is trusted anyway.
func gradeEntries(s *v1alpha1.NodeStore, node *index.Node, entries ...v1alpha1.NamespaceStore) change {
	merged := Merge(&s.Status, entries...)
	grade := nothing
	for i := range entries {
		before, after := findEntry(&s.Status, entries[i].Namespace), findEntry(&merged, entries[i].Namespace)
		switch {
		case before == nil,
			node != nil && !node.ReadySince.IsZero() && !index.Trusted(*node, index.OwnerOf(s), before.BootID, before.ObservedTime.Time):
			return contents
		case after != nil:
			grade = max(grade, compareEntries(before, after))
		}
	}
	return grade
}
