// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"cmp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/placement/index"
)

// State is how far an item is on a node.
type State string

// The states.
const (
	Complete    State = "complete"
	Downloading State = "downloading"
	Absent      State = "absent"
)

// View is all that is shown. It is also what -o json prints.
type View struct {
	// Items that new pods of the DataSets get now.
	Items []Item `json:"items"`
	// Stores of the nodes, by node and namespace.
	Stores []Store `json:"stores"`
	// OtherNodes is how many nodes of the cluster have no such store.
	OtherNodes int `json:"otherNodes"`
}

// Item is one item of a DataSet.
type Item struct {
	Namespace string `json:"namespace"`
	DataSet   string `json:"dataSet"`
	// Name is the item's namespace/name.
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	// Bytes as some node has, or had, them; 0 when unknown.
	Bytes int64 `json:"bytes"`
	// Nodes that have it complete, and are believed.
	Nodes int `json:"nodes"`

	mark string
}

// Store is the store of one namespace on one node.
type Store struct {
	Node      string `json:"node"`
	Namespace string `json:"namespace"`
	// Stale says why what follows is not believed; empty: it is.
	Stale          string      `json:"stale,omitempty"`
	StoreID        string      `json:"storeID"`
	ObservedTime   metav1.Time `json:"observedTime,omitzero"`
	UsedBytes      int64       `json:"usedBytes"`
	QuotaBytes     int64       `json:"quotaBytes,omitempty"`
	CapacityBytes  int64       `json:"capacityBytes"`
	FreeBytes      int64       `json:"freeBytes"`
	AvailableBytes int64       `json:"availableBytes"`
	// Unreadable says why the keeper of the node cannot read the store, or a part of it.
	Unreadable string `json:"unreadable,omitempty"`
	// VerifiedTime is by when the keeper compared all snapshots with what was delivered, and
	// Damaged what it found.
	VerifiedTime *metav1.Time              `json:"verifiedTime,omitempty"`
	Damaged      []v1alpha1.SnapshotDamage `json:"damaged,omitempty"`
	// Keeper is that of the node, with what all stores have together; nil without one.
	Keeper *v1alpha1.KeeperStatus `json:"keeper,omitempty"`
	// Items of the namespace, in the order of View.Items.
	Items []Held `json:"items"`
	// Other is what it has besides, complete.
	Other Other `json:"other"`
	// Snapshots are all that are listed, with --all.
	Snapshots []Snapshot `json:"snapshots,omitempty"`
}

// Held is what a store has of an item.
type Held struct {
	DataSet string `json:"dataSet"`
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	State   State  `json:"state"`
	// Bytes that it has; of a download, those that it is to have.
	Bytes int64 `json:"bytes"`
	// Pods of the node that are at it or can go back to it.
	Pods         int32        `json:"pods"`
	Preheated    bool         `json:"preheated,omitempty"`
	LastUsedTime *metav1.Time `json:"lastUsedTime,omitempty"`
}

// Other sums up snapshots.
type Other struct {
	Snapshots int   `json:"snapshots"`
	Bytes     int64 `json:"bytes"`
}

// Snapshot is one snapshot of a store.
type Snapshot struct {
	v1alpha1.StoredSnapshot
	// Items of View.Items that it is the bytes of, as dataSet: namespace/name.
	Items []string `json:"items,omitempty"`
}

// Wanted is what new pods of one DataSet get.
type Wanted struct {
	Namespace string
	Items     []index.Want
}

// BuildView computes the view of the stores of a namespace, or of all where that is
// empty.
func BuildView(c *Cluster, namespace string, sets []Wanted, all bool) View {
	v := View{Items: []Item{}, Stores: []Store{}}
	for _, set := range sets {
		for _, w := range set.Items {
			v.Items = append(v.Items, Item{Namespace: set.Namespace, DataSet: w.DataSet, Name: w.Item, Version: w.Version, mark: w.Mark})
		}
	}
	with := map[string]bool{}
	for i := range c.Stores {
		store := &c.Stores[i]
		for j := range store.Status.Stores {
			entry := &store.Status.Stores[j]
			if namespace != "" && entry.Namespace != namespace {
				continue
			}
			with[store.Name] = true
			stale := Stale(c.Nodes[store.Name], store, entry)
			built := v.buildStore(store.Name, entry, stale, all)
			built.Keeper = store.Status.Keeper
			v.Stores = append(v.Stores, built)
		}
	}
	slices.SortStableFunc(v.Stores, func(a, b Store) int {
		return cmp.Or(strings.Compare(a.Node, b.Node), strings.Compare(a.Namespace, b.Namespace))
	})
	for name := range c.Nodes {
		if !with[name] {
			v.OtherNodes++
		}
	}
	return v
}

func (v *View) buildStore(node string, entry *v1alpha1.NamespaceStore, stale string, all bool) Store {
	s := Store{
		Node: node, Namespace: entry.Namespace, Stale: stale, StoreID: entry.StoreID, ObservedTime: entry.ObservedTime,
		UsedBytes: entry.UsedBytes, QuotaBytes: entry.QuotaBytes, CapacityBytes: entry.CapacityBytes,
		FreeBytes: entry.FreeBytes, AvailableBytes: entry.AvailableBytes,
		Unreadable: entry.Unreadable, VerifiedTime: entry.VerifiedTime, Damaged: entry.Damaged,
		Items: []Held{}, Other: Other{Snapshots: int(entry.OmittedSnapshots), Bytes: entry.OmittedBytes},
	}
	names := make(map[string][]string, len(v.Items))
	found := byMark(entry)
	for i := range v.Items {
		item := &v.Items[i]
		if item.Namespace != entry.Namespace {
			continue
		}
		held := Held{DataSet: item.DataSet, Name: item.Name, Version: item.Version, State: Absent}
		if snapshot := found[item.mark]; snapshot != nil {
			held.State, held.Bytes, held.Pods = Complete, snapshot.Bytes, snapshot.Pods
			held.Preheated, held.LastUsedTime = snapshot.Preheated, snapshot.LastUsedTime
			if snapshot.Phase != v1alpha1.SnapshotComplete {
				held.State = Downloading
			} else if stale == "" {
				item.Nodes++
			}
			item.Bytes = max(item.Bytes, snapshot.Bytes)
			names[snapshot.ID] = append(names[snapshot.ID], item.DataSet+": "+item.Name)
		}
		s.Items = append(s.Items, held)
	}
	for i := range entry.Snapshots {
		snapshot := &entry.Snapshots[i]
		if len(names[snapshot.ID]) == 0 && snapshot.Phase == v1alpha1.SnapshotComplete {
			s.Other.Snapshots++
			s.Other.Bytes += snapshot.Bytes
		}
		if all {
			s.Snapshots = append(s.Snapshots, Snapshot{StoredSnapshot: *snapshot, Items: names[snapshot.ID]})
		}
	}
	return s
}

// byMark finds snapshots by what DataSets call their bytes; of two the complete
// one counts, as in package placement/index.
func byMark(entry *v1alpha1.NamespaceStore) map[string]*v1alpha1.StoredSnapshot {
	found := make(map[string]*v1alpha1.StoredSnapshot, len(entry.Snapshots))
	for i := range entry.Snapshots {
		snapshot := &entry.Snapshots[i]
		for _, mark := range slices.Compact(slices.Sorted(slices.Values(snapshot.Marks))) {
			if before := found[mark]; before == nil || before.Phase != v1alpha1.SnapshotComplete {
				found[mark] = snapshot
			}
		}
	}
	return found
}
