// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package nodestore

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/nodestore"
)

// What one NodeStore lists at most, so that it stays far below what the API
// server takes for one object (1.5 MiB), whatever the runtimes say.
const (
	maxListed = 2048
	// maxBytes is for all lists, and for storeBytes of each namespace: what an entry
	// has beside its list, and what the API server notes of the fields' owners.
	maxBytes   = 800 << 10
	storeBytes = 900
	// maxStores is many times what a node has in pods.
	maxStores = 512
)

// Merge returns the status with these entries in place of those of their
// namespaces. It shares memory with the status and changes nothing of it.
func Merge(status *v1alpha1.NodeStoreStatus, entries ...v1alpha1.NamespaceStore) v1alpha1.NodeStoreStatus {
	own := make(map[string]bool, len(entries))
	for i := range entries {
		own[entries[i].Namespace] = true
	}
	out := v1alpha1.NodeStoreStatus{Stores: slices.Clone(entries), Directories: status.Directories, Closed: status.Closed,
		Keeper: status.Keeper}
	var gone []v1alpha1.NamespaceStore
	for i := range status.Stores {
		before := status.Stores[i]
		if own[before.Namespace] {
			keepDamages(out.Stores[:len(entries)], &before)
		}
		if !own[before.Namespace] {
			out.Stores = append(out.Stores, before)
		} else if before.NamespaceUID != "" {
			gone = append(gone, before) // unless it is the same one, see DropDirectories
		}
	}
	if len(out.Stores) > maxStores {
		slices.SortStableFunc(out.Stores, func(a, b v1alpha1.NamespaceStore) int {
			return cmp.Or(-compareBool(own[a.Namespace], own[b.Namespace]), b.ObservedTime.Compare(a.ObservedTime.Time))
		})
		gone = append(gone, out.Stores[maxStores:]...)
		out.Stores = out.Stores[:maxStores]
	}
	nodestore.KeepDirectories(&out, gone...)
	nodestore.DropDirectories(&out, out.Stores...)
	slices.SortFunc(out.Stores, func(a, b v1alpha1.NamespaceStore) int { return cmp.Compare(a.Namespace, b.Namespace) })
	trimSnapshots(out.Stores, own)
	trimDamages(out.Stores)
	nodestore.Sum(&out)
	return out
}

// maxDamaged is the bound of the schema.
const maxDamaged = 8

// maxNodeDamages is for all stores, with room for names as long as they can be.
const maxNodeDamages = 32

// trimDamages leaves out what was found first, of the store of which most was found, until an
// object has room for the rest: a rotten disk damages the stores of all namespaces.
func trimDamages(stores []v1alpha1.NamespaceStore) {
	total := 0
	for i := range stores {
		total += len(stores[i].Damaged)
	}
	for ; total > maxNodeDamages; total-- {
		most := 0
		for i := range stores {
			if len(stores[i].Damaged) > len(stores[most].Damaged) {
				most = i
			}
		}
		list := stores[most].Damaged
		stores[most].Damaged = slices.Clone(list[:len(list)-1])
	}
}

// keepDamages keeps what was found in a store before behind what was found now.
func keepDamages(entries []v1alpha1.NamespaceStore, before *v1alpha1.NamespaceStore) {
	for i := range entries {
		if e := &entries[i]; e.Namespace == before.Namespace && e.NamespaceUID == before.NamespaceUID {
			e.Damaged = joinDamages(e.Damaged, before.Damaged)
		}
	}
}

// joinDamages puts newer findings in front of older ones, as many as are kept.
func joinDamages(newer, older []v1alpha1.SnapshotDamage) []v1alpha1.SnapshotDamage {
	out := slices.Clone(newer)
	for _, d := range older {
		if !slices.ContainsFunc(out, func(o v1alpha1.SnapshotDamage) bool { return o.ID == d.ID && o.FoundTime.Equal(&d.FoundTime) }) {
			out = append(out, d)
		}
	}
	return out[:min(len(out), maxDamaged)]
}

// trimSnapshots shortens the longest lists until all together are within the bounds: by
// number, then by bytes, so that a namespace whose snapshots have long names takes
// nothing from the others. Of lists of one length an entry's own, which is being written,
// gives way first; then a repeated report changes nothing.
func trimSnapshots(stores []v1alpha1.NamespaceStore, own map[string]bool) {
	sizes, listed, total := make([]int, len(stores)), 0, 0
	for i := range stores {
		listed += len(stores[i].Snapshots)
		for j := range stores[i].Snapshots {
			sizes[i] += encodedSize(&stores[i].Snapshots[j])
		}
		total += sizes[i]
	}
	longest := func(length func(int) int) int {
		at := 0
		for i := range stores {
			if d := length(i) - length(at); d > 0 || d == 0 && own[stores[i].Namespace] && !own[stores[at].Namespace] {
				at = i
			}
		}
		return at
	}
	for listed > maxListed || total > maxBytes-storeBytes*len(stores) {
		at := longest(func(i int) int { return sizes[i] })
		if listed > maxListed {
			at = longest(func(i int) int { return len(stores[i].Snapshots) })
		}
		last := encodedSize(&stores[at].Snapshots[len(stores[at].Snapshots)-1])
		omitLast(&stores[at])
		sizes[at] -= last
		total -= last
		listed--
	}
}

// encodedSize is what a snapshot takes in the object.
func encodedSize(s *v1alpha1.StoredSnapshot) int {
	text, err := json.Marshal(s)
	if err != nil {
		return 0 // strings and numbers always marshal
	}
	return len(text) + 1
}
