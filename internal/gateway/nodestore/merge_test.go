// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package nodestore

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/placement/index"
)

// fullEntry is an entry of so many snapshots.
func fullEntry(t *testing.T, namespace string, n int, change ...func(*gatewayv1alpha1.StoredSnapshot)) v1alpha1.NamespaceStore {
	t.Helper()
	r := newRequest()
	for i := range n {
		r.Snapshots = append(r.Snapshots, newSnapshot(i, change...))
	}
	return newEntry(t, namespace, r)
}

func TestAReportChangesOnlyItsNamespacesEntry(t *testing.T) {
	status := Merge(&v1alpha1.NodeStoreStatus{}, fullEntry(t, "b", 2), fullEntry(t, "a", 1))
	before := status.DeepCopy()
	after := Merge(&status, fullEntry(t, "c", 3), fullEntry(t, "a", 4))
	if diff := cmp.Diff(before, &status); diff != "" {
		t.Errorf("the former status was changed:\n%s", diff)
	}
	if diff := cmp.Diff(findEntry(before, "b"), findEntry(&after, "b")); diff != "" {
		t.Errorf("another namespace's entry:\n%s", diff)
	}
	var names []string
	for _, s := range after.Stores {
		names = append(names, fmt.Sprint(s.Namespace, len(s.Snapshots)))
	}
	if got := strings.Join(names, " "); got != "a4 b2 c3" || after.Items != 9 || after.Bytes != 9<<30 || after.Size != "9.0 GiB" ||
		after.Free != "50.0 GiB" {
		t.Errorf("%s; %d items, %d bytes, %s, %s free", got, after.Items, after.Bytes, after.Size, after.Free)
	}
}

// TestAStatusWithDamageInAllStoresStaysWithinTheSizeOfAnObject has a disk that rots, or a
// keeper that lies.
func TestAStatusWithDamageInAllStoresStaysWithinTheSizeOfAnObject(t *testing.T) {
	r := &gatewayv1alpha1.ReportNodeRequest{}
	for i := range maxStores {
		namespace := fmt.Sprintf("%03d%s", i, strings.Repeat("n", 60))
		c := storeContents(namespace, "uid", newSnapshot(1))
		c.Unreadable = strings.Repeat("<", 4000)
		r.Stores = append(r.Stores, c)
		for range maxDamaged {
			r.Damages = append(r.Damages, &gatewayv1alpha1.Damage{Directory: directoryOf(namespace, "uid"), Snapshot: newSnapshot(1).GetId(),
				File: strings.Repeat("<", 4000), Path: strings.Repeat("<", 4000), Version: strings.Repeat("<", 400),
				Message: strings.Repeat("<", 4000)})
		}
	}
	status := Merge(&v1alpha1.NodeStoreStatus{}, NodeEntries(r, now)...)
	text, err := json.Marshal(status)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for i := range status.Stores {
		found += len(status.Stores[i].Damaged)
	}
	if len(text) > 1400<<10 || found != maxNodeDamages {
		t.Errorf("%d bytes, %d findings", len(text), found)
	}
}

func TestANodeStoreStaysWithinTheSizeOfAnObject(t *testing.T) {
	long := func(s *gatewayv1alpha1.StoredSnapshot) {
		s.Source, s.Path, s.Version = strings.Repeat("<", 2000), strings.Repeat("é", 2000), strings.Repeat("\"", 300)
		for i := range 16 {
			s.Marks = append(s.Marks, fmt.Sprintf("%032x", i))
		}
	}
	var status v1alpha1.NodeStoreStatus
	var empty []v1alpha1.NamespaceStore
	for i := range maxStores + 10 {
		var change []func(*gatewayv1alpha1.StoredSnapshot)
		n := 0
		switch {
		case i == 0:
			n, change = 256, append(change, long)
		case i < 20:
			n = 200
		}
		e := fullEntry(t, fmt.Sprintf("%03d%s", i, strings.Repeat("n", 60)), n, change...)
		e.ObservedTime = metav1.NewTime(now.Add(-time.Duration(i) * time.Second))
		if n == 0 {
			empty = append(empty, e)
			continue
		}
		status = Merge(&status, e)
	}
	for _, e := range [][]v1alpha1.NamespaceStore{empty[20:], empty[:20]} {
		status = Merge(&status, e...)
	}
	text, err := json.Marshal(status)
	if err != nil {
		t.Fatal(err)
	}
	listed := 0
	for i := range status.Stores {
		listed += len(status.Stores[i].Snapshots)
	}
	// With what the API server notes of the fields' owners it is below 1 MB.
	if len(text) > 850<<10 || listed > maxListed || len(status.Stores) > maxStores {
		t.Errorf("%d bytes, %d snapshots, %d stores", len(text), listed, len(status.Stores))
	}
	greedy, modest := status.Stores[0], status.Stores[1]
	if len(greedy.Snapshots) >= len(modest.Snapshots) {
		t.Errorf("%d long snapshots took the room of others, which have %d", len(greedy.Snapshots), len(modest.Snapshots))
	}
	if greedy.OmittedSnapshots+int32(len(greedy.Snapshots)) != 256 || status.Items != 256+19*200 {
		t.Errorf("what is left out is not counted: %d omitted, %d items", greedy.OmittedSnapshots, status.Items)
	}
}

func TestRepeatedReportsOfAFullNodeAreNotWritten(t *testing.T) {
	s := &v1alpha1.NodeStore{}
	node := &index.Node{ReadySince: now.Add(-time.Hour)}
	var entries []v1alpha1.NamespaceStore
	for i := range 11 {
		entries = append(entries, fullEntry(t, fmt.Sprintf("ns-%d", i), 150+10*i))
	}
	last := 0
	for round := range 6 {
		last = 0
		for _, e := range entries {
			if gradeEntries(s, node, e) != nothing {
				s.Status = Merge(&s.Status, e)
				last++
			}
		}
		t.Logf("round %d: %d writes", round, last)
	}
	if last != 0 {
		t.Errorf("%d writes in the last round, want none", last)
	}
}

func TestTheDirectoryOfAReplacedStoreStaysKnown(t *testing.T) {
	of := func(namespace, uid string) v1alpha1.NamespaceStore {
		e := fullEntry(t, namespace, 1)
		e.NamespaceUID = uid
		return e
	}
	status := Merge(&v1alpha1.NodeStoreStatus{Closed: true,
		Directories: []v1alpha1.StoreDirectory{{Namespace: "b", UID: "1"}, {Namespace: "b", UID: "2"}}}, of("a", "1"), of("c", ""))
	status = Merge(&status, of("a", "2"), of("b", "2"), of("c", "3"))
	want := []v1alpha1.StoreDirectory{{Namespace: "a", UID: "1"}, {Namespace: "b", UID: "1"}}
	if diff := cmp.Diff(want, status.Directories); diff != "" || !status.Closed {
		t.Errorf("closed %t, directories (-want +got):\n%s", status.Closed, diff)
	}
	again := Merge(&status, of("a", "2"))
	if diff := cmp.Diff(status, again); diff != "" {
		t.Errorf("a repeated report changes something (-before +after):\n%s", diff)
	}
	for i := range maxStores {
		again = Merge(&again, of(fmt.Sprintf("n%03d", i), "u"))
	}
	if len(again.Stores) != maxStores || len(again.Directories) != len(want)+3 {
		t.Errorf("%d stores, directories of those that were cut: %v", len(again.Stores), again.Directories)
	}
}
