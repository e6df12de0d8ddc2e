// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package nodestore

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/nodestore"
	"github.com/kuda-io/kuda/internal/placement/index"
)

var now = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// store is the NodeStore of the node with UID u1, with an entry of each namespace.
func store(namespaces ...string) *v1alpha1.NodeStore {
	s := &v1alpha1.NodeStore{ObjectMeta: metav1.ObjectMeta{
		Name: "n1", OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: "n1", UID: "u1"}},
	}}
	for _, namespace := range namespaces {
		s.Status.Stores = append(s.Status.Stores, v1alpha1.NamespaceStore{
			Namespace: namespace, NamespaceUID: "uid-" + namespace, StoreID: "s", BootID: "b1",
			ObservedTime: metav1.NewTime(now), FreeBytes: 1 << 30,
			Snapshots: []v1alpha1.StoredSnapshot{
				{ID: "a", Bytes: 1 << 20, Phase: v1alpha1.SnapshotComplete},
				{ID: "b", Bytes: 1 << 20, Phase: v1alpha1.SnapshotDownloading},
			},
			OmittedSnapshots: 2, OmittedBytes: 2 << 20,
		})
	}
	return s
}

func TestOnlyStaleEntriesAreDropped(t *testing.T) {
	ready := index.Node{UID: "u1", BootID: "b1", ReadySince: now.Add(-time.Hour)}
	for name, c := range map[string]struct {
		node   func(*index.Node)
		gone   string
		again  string
		change func(*v1alpha1.NodeStore)
		remove bool
		drop   string
	}{
		"all is well":               {},
		"a namespace is gone":       {gone: "b", drop: "b"},
		"a namespace is made again": {again: "a", drop: "a"},
		"a UID is not told":         {again: "a", change: func(s *v1alpha1.NodeStore) { s.Status.Stores[0].NamespaceUID = "" }},
		"the node is another":       {node: func(n *index.Node) { n.UID = "u2" }, remove: true},
		"an owner is not known":     {change: func(s *v1alpha1.NodeStore) { s.OwnerReferences = nil }},
		"the machine started anew":  {node: func(n *index.Node) { n.BootID = "b2" }, drop: "a b"},
		"one is of another boot":    {change: func(s *v1alpha1.NodeStore) { s.Status.Stores[1].BootID = "b2" }, drop: "b"},
		"no boot is told":           {change: func(s *v1alpha1.NodeStore) { s.Status.Stores[1].BootID = "" }},
		"the node came back":        {node: func(n *index.Node) { n.ReadySince = now.Add(time.Second) }, drop: "a b"},
		"reported since":            {node: func(n *index.Node) { n.ReadySince = now.Add(time.Second) }, change: later, drop: "a"},
		"in the same second":        {node: func(n *index.Node) { n.ReadySince = now.Add(time.Millisecond) }},
		"the node is away":          {node: func(n *index.Node) { n.ReadySince = time.Time{} }},
		"away, in another boot":     {node: func(n *index.Node) { n.ReadySince, n.BootID = time.Time{}, "b2" }},
		"away, and a namespace too": {node: func(n *index.Node) { n.ReadySince = time.Time{} }, gone: "a", drop: "a"},
	} {
		s, node := store("a", "b"), ready
		if c.node != nil {
			c.node(&node)
		}
		if c.change != nil {
			c.change(s)
		}
		uids := map[string]types.UID{"a": "uid-a", "b": "uid-b"}
		delete(uids, c.gone)
		if c.again != "" {
			uids[c.again] = "another"
		}
		d := decideAction(s, &node, uids)
		if got := strings.Join(slices.Sorted(maps.Keys(d.drop)), " "); (d.remove != "") != c.remove || got != c.drop {
			t.Errorf("%s: remove %q, drop %q; want %v, %q", name, d.remove, got, c.remove, c.drop)
		}
	}
	if d := decideAction(store(), nil, nil); d.remove == "" {
		t.Error("the NodeStore of a node that is gone stays")
	}
}

func later(s *v1alpha1.NodeStore) {
	s.Status.Stores[1].ObservedTime = metav1.NewTime(now.Add(time.Minute))
}

func TestTotalsCountOnlyTheRemainingStores(t *testing.T) {
	s := store("a", "b", "c")
	s.Status.Stores[2].ObservedTime, s.Status.Stores[2].FreeBytes = metav1.NewTime(now.Add(time.Minute)), 2<<30
	nodestore.Sum(&s.Status)
	if s.Status.Items != 9 || s.Status.Bytes != 9<<20 || s.Status.Size != "9.0 MiB" || s.Status.Free != "2.0 GiB" {
		t.Errorf("totals: %+v", s.Status)
	}
	after := decision{drop: map[string]string{"a": "x", "c": "y"}}.remainingStatus(s.Status)
	if after.Items != 3 || after.Bytes != 3<<20 || after.Free != "1.0 GiB" || len(after.Stores) != 1 || len(s.Status.Stores) != 3 {
		t.Errorf("totals: %+v", after)
	}
	empty := decision{drop: map[string]string{"a": "x", "b": "x", "c": "y"}}.remainingStatus(s.Status)
	if empty.Items != 0 || empty.Size != "0 B" || empty.Free != "" {
		t.Errorf("totals: %+v", empty)
	}
}

func TestTheDirectoryOfADroppedStoreIsKept(t *testing.T) {
	s := store("a", "b")
	s.Status.Stores[1].NamespaceUID = ""
	s.Status.Directories = []v1alpha1.StoreDirectory{{Namespace: "a", UID: "earlier"}}
	after := decision{drop: map[string]string{"a": "x", "b": "y"}}.remainingStatus(s.Status)
	want := []v1alpha1.StoreDirectory{{Namespace: "a", UID: "earlier"}, {Namespace: "a", UID: "uid-a"}, {Namespace: "b"}}
	if !slices.Equal(after.Directories, want) || len(s.Status.Directories) != 1 {
		t.Errorf("directories: %v", after.Directories)
	}
	nodestore.DropDirectories(&after, s.Status.Stores...)
	if !slices.Equal(after.Directories, want[:1]) {
		t.Errorf("of stores that are reported again: %v", after.Directories)
	}
}

func TestADirectoryIsClosedAgainInEachBoot(t *testing.T) {
	uids := map[string]types.UID{"a": "uid-a"}
	for boot, closed := range map[string]bool{"b1": true, "b2": false} {
		s := store("a", "b")
		s.Status.Closed = true
		d := decideAction(s, &index.Node{UID: "u1", BootID: boot, ReadySince: now}, uids)
		if after := d.remainingStatus(s.Status); after.Closed != closed || len(after.Directories) == 0 {
			t.Errorf("in boot %s: closed %t, %v", boot, after.Closed, after.Directories)
		}
	}
}
