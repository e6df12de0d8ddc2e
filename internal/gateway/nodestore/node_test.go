// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package nodestore

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

func directoryOf(namespace, uid string) *gatewayv1alpha1.StoreDirectory {
	return &gatewayv1alpha1.StoreDirectory{Namespace: namespace, Uid: uid}
}

// newNamespace is one that the cache has.
func newNamespace(name, uid string) client.Object {
	n := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(uid)}}
	n.APIVersion, n.Kind = "v1", "Namespace"
	return n
}

// nodeRequest is a keeper's report of stores.
func nodeRequest(stores ...*gatewayv1alpha1.StoreContents) *gatewayv1alpha1.ReportNodeRequest {
	r := &gatewayv1alpha1.ReportNodeRequest{KeeperVersion: "v1", Stores: stores}
	for _, s := range stores {
		r.Directories = append(r.Directories, s.GetDirectory())
	}
	return r
}

func storeContents(namespace, uid string, snapshots ...*gatewayv1alpha1.StoredSnapshot) *gatewayv1alpha1.StoreContents {
	return &gatewayv1alpha1.StoreContents{Directory: directoryOf(namespace, uid), Contents: newRequest(snapshots...)}
}

func (b *bench) submitNode(t *testing.T, r *gatewayv1alpha1.ReportNodeRequest) error {
	t.Helper()
	at := b.clock.Now()
	done := make(chan error, 1)
	go func() { done <- b.SubmitNode(t.Context(), "n1", Node("kuda-node-x", r, at), NodeEntries(r, at)) }()
	for {
		select {
		case err := <-done:
			return err
		case <-time.After(time.Millisecond):
			b.clock.Step(100 * time.Millisecond)
		}
	}
}

func (b *bench) readStore(t *testing.T) *v1alpha1.NodeStore {
	t.Helper()
	var s v1alpha1.NodeStore
	if err := b.client.Get(t.Context(), types.NamespacedName{Name: "n1"}, &s); err != nil {
		t.Fatal(err)
	}
	return &s
}

func TestAKeepersReportBecomesTheNodesStatus(t *testing.T) {
	b := newBench(t, nil, newNode("u1"), newNamespace("shop", "uid-shop"), newNamespace("lab", "uid-lab"))
	stranger := storeContents("shop", "uid-earlier", newSnapshot(9))
	broken := storeContents("lab", "uid-lab", newSnapshot(2))
	broken.Unreadable = "the marks:\nnot a directory"
	r := nodeRequest(storeContents("shop", "uid-shop", newSnapshot(1)), broken, stranger)
	r.NodeQuotaBytes, r.NodeUsedBytes = 1000, 10
	if err := b.submitNode(t, r); err != nil {
		t.Fatal(err)
	}
	s := b.readStore(t)
	if k := s.Status.Keeper; k == nil || k.PodName != "kuda-node-x" || k.Version != "v1" || k.QuotaBytes != 1000 || k.UsedBytes != 10 {
		t.Errorf("the keeper is %+v", k)
	}
	if len(s.Status.Stores) != 2 || s.Status.Stores[0].Namespace != "lab" || s.Status.Stores[1].NamespaceUID != "uid-shop" {
		t.Fatalf("the stores are %+v", s.Status.Stores)
	}
	if got := s.Status.Stores[0].Unreadable; got == "" || got == broken.GetUnreadable() {
		t.Errorf("unreadable: %q", got)
	}
	// The directory of a store is gone.
	next := nodeRequest(storeContents("shop", "uid-shop", newSnapshot(1)))
	if err := b.submitNode(t, next); err != nil {
		t.Fatal(err)
	}
	if s = b.readStore(t); len(s.Status.Stores) != 1 || s.Status.Stores[0].Namespace != "shop" {
		t.Errorf("the stores are %+v", s.Status.Stores)
	}
}

func TestWhatAKeeperFoundStaysKnownForAWhile(t *testing.T) {
	b := newBench(t, nil, newNode("u1"), newNamespace("shop", "uid-shop"))
	r := nodeRequest(storeContents("shop", "uid-shop", newSnapshot(1)))
	r.Damages = []*gatewayv1alpha1.Damage{
		{Directory: directoryOf("shop", "uid-shop"), Snapshot: newSnapshot(1).GetId(), File: "a", Message: "differs", Path: "p", Version: "v"},
		{Directory: directoryOf("lab", "uid-lab"), Snapshot: newSnapshot(2).GetId()},
		{Directory: directoryOf("shop", "uid-shop"), Snapshot: "../x"},
	}
	if err := b.submitNode(t, r); err != nil {
		t.Fatal(err)
	}
	want := []v1alpha1.SnapshotDamage{{ID: newSnapshot(1).GetId(), Path: "p", Version: "v", Message: "a: differs"}}
	ignoreTime := cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "FoundTime" }, cmp.Ignore())
	if diff := cmp.Diff(want, b.readStore(t).Status.Stores[0].Damaged, ignoreTime); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r.Damages = nil
	r.Stores[0] = storeContents("shop", "uid-shop", newSnapshot(3))
	if err := b.submitNode(t, r); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, b.readStore(t).Status.Stores[0].Damaged, ignoreTime); diff != "" {
		t.Errorf("after another report (-want +got):\n%s", diff)
	}
}

func TestAKeepersReportThatSaysNothingNewIsWrittenNowAndThen(t *testing.T) {
	at := func(after time.Duration) metav1.Time { return metav1.NewTime(now.Add(after)) }
	s := &v1alpha1.NodeStoreStatus{Keeper: &v1alpha1.KeeperStatus{PodName: "p", ObservedTime: metav1.NewTime(now)}}
	for name, c := range map[string]struct {
		report NodeReport
		want   change
	}{
		"soon after":     {NodeReport{Keeper: v1alpha1.KeeperStatus{PodName: "p", ObservedTime: at(time.Minute)}}, nothing},
		"minutes later":  {NodeReport{Keeper: v1alpha1.KeeperStatus{PodName: "p", ObservedTime: at(keeperRenewal)}}, figures},
		"another keeper": {NodeReport{Keeper: v1alpha1.KeeperStatus{PodName: "q", ObservedTime: metav1.NewTime(now)}}, contents},
		"bytes came":     {NodeReport{Keeper: v1alpha1.KeeperStatus{PodName: "p", ObservedTime: metav1.NewTime(now), UsedBytes: 1}}, figures},
		"another quota":  {NodeReport{Keeper: v1alpha1.KeeperStatus{PodName: "p", ObservedTime: metav1.NewTime(now), QuotaBytes: 1}}, contents},
	} {
		t.Run(name, func(t *testing.T) {
			if got := gradeNode(s, &c.report); got != c.want {
				t.Errorf("grade %d, want %d", got, c.want)
			}
		})
	}
	if gradeNode(s, nil) != nothing {
		t.Error("a runtime's report speaks of the node")
	}
	if keeperRenewal*2 > v1alpha1.KeeperTrust {
		t.Error("a keeper is forgotten between two of its reports")
	}
}
