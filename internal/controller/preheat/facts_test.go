// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package preheat

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func apiNode(change ...func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", UID: "node"}}
	n.Status.NodeInfo.BootID = "boot"
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue,
		LastTransitionTime: metav1.NewTime(start)}}
	for _, f := range change {
		f(n)
	}
	return n
}

func apiStore(snapshots ...v1alpha1.StoredSnapshot) *v1alpha1.NodeStore {
	s := &v1alpha1.NodeStore{ObjectMeta: metav1.ObjectMeta{Name: "n",
		OwnerReferences: []metav1.OwnerReference{{Kind: "Node", Name: "n", UID: "node"}}}}
	s.Status.Stores = []v1alpha1.NamespaceStore{
		{Namespace: "other", BootID: "boot", ObservedTime: metav1.NewTime(start.Add(time.Minute)), AvailableBytes: 1},
		{Namespace: "shop", BootID: "boot", ObservedTime: metav1.NewTime(start.Add(time.Minute)), AvailableBytes: 500, Snapshots: snapshots},
	}
	return s
}

func storedSnapshot(phase v1alpha1.SnapshotPhase, preheated bool, bytes int64, marks ...string) v1alpha1.StoredSnapshot {
	return v1alpha1.StoredSnapshot{Marks: marks, Phase: phase, Preheated: preheated, Bytes: bytes}
}

func TestAStoreIsKeptOnlyWhenEachItemIsCompleteAndKept(t *testing.T) {
	const complete = v1alpha1.SnapshotComplete
	for name, c := range map[string]struct {
		store *v1alpha1.NodeStore
		bytes int64
		kept  bool
	}{
		"nothing":         {apiStore(), 0, false},
		"all":             {apiStore(storedSnapshot(complete, true, 10, "a"), storedSnapshot(complete, true, 20, "x", "b")), 30, true},
		"one is missing":  {apiStore(storedSnapshot(complete, true, 10, "a")), 10, false},
		"one is not kept": {apiStore(storedSnapshot(complete, true, 10, "a"), storedSnapshot(complete, false, 20, "b")), 30, false},
		"one is not there": {apiStore(storedSnapshot(complete, true, 10, "a"), storedSnapshot(v1alpha1.SnapshotDownloading, true, 20, "b")),
			10, false},
		"one is there twice": {apiStore(storedSnapshot(complete, false, 10, "a"), storedSnapshot(complete, true, 10, "a"),
			storedSnapshot(complete, true, 20, "b")),
			30, true},
		"others": {apiStore(storedSnapshot(complete, true, 10, "c"), storedSnapshot(complete, true, 10)), 0, false},
	} {
		got := nodeOf(apiNode(), c.store, "shop", []string{"a", "b"}).Store
		want := &Store{Observed: start.Add(time.Minute), Available: 500, Bytes: c.bytes, Kept: c.kept}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAStaleStoreIsIgnored(t *testing.T) {
	full := apiStore(storedSnapshot(v1alpha1.SnapshotComplete, true, 10, "a"))
	for name, n := range map[string]*corev1.Node{
		"another node":  apiNode(func(n *corev1.Node) { n.UID = "later" }),
		"another boot":  apiNode(func(n *corev1.Node) { n.Status.NodeInfo.BootID = "later" }),
		"came back":     apiNode(func(n *corev1.Node) { n.Status.Conditions[0].LastTransitionTime = metav1.NewTime(start.Add(time.Hour)) }),
		"is not there":  apiNode(func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionUnknown }),
		"says nothing ": apiNode(func(n *corev1.Node) { n.Status.Conditions = nil }),
	} {
		if got := nodeOf(n, full, "shop", []string{"a"}); got.Store != nil {
			t.Errorf("%s: %+v", name, got.Store)
		}
	}
	if got := nodeOf(apiNode(), full, "elsewhere", []string{"a"}); got.Store != nil {
		t.Errorf("another namespace's store is believed: %+v", got.Store)
	}
}

func TestOnlyNoScheduleAndNoExecuteTaintsCount(t *testing.T) {
	for effect, want := range map[corev1.TaintEffect]bool{
		corev1.TaintEffectNoSchedule: true, corev1.TaintEffectNoExecute: true, corev1.TaintEffectPreferNoSchedule: false,
	} {
		n := apiNode(func(n *corev1.Node) { n.Spec.Taints = []corev1.Taint{{Key: "x", Effect: effect}} })
		if got := nodeOf(n, nil, "", nil); got.Tainted != want || !got.Ready || got.equalExceptStore(nodeOf(apiNode(), nil, "", nil)) == want {
			t.Errorf("%s: %+v", effect, got)
		}
	}
}

func TestTheDeliveryIsReadFromTheStatusOfTheData(t *testing.T) {
	item := func(phase v1alpha1.DataPhase, reason string) v1alpha1.DataItemStatus {
		return v1alpha1.DataItemStatus{Namespace: "default", Name: reason, Phase: phase, Reason: reason, Message: "says so"}
	}
	at := func(reason string) []metav1.Condition {
		return []metav1.Condition{{Type: v1alpha1.ConditionReady, Reason: reason, Message: "says so", LastTransitionTime: metav1.NewTime(start)}}
	}
	for name, c := range map[string]struct {
		status v1alpha1.DataStatus
		want   Delivery
	}{
		"no report": {v1alpha1.DataStatus{Conditions: at("RuntimeNotConnected")},
			Delivery{Reason: "RuntimeNotConnected", Message: "says so"}},
		"downloads": {v1alpha1.DataStatus{ObservedRevision: "r", Conditions: at("Downloading")}, Delivery{Reported: true}},
		"delivered": {v1alpha1.DataStatus{ObservedRevision: "r", DataItems: 1, Success: 1, Conditions: at("Delivered")},
			Delivery{Reported: true, Delivered: true, DeliveredAt: start}},
		"fails for now": {v1alpha1.DataStatus{ObservedRevision: "r", DataItemsStatus: []v1alpha1.DataItemStatus{item("failed", "Throttled")}},
			Delivery{Reported: true, Failing: true, Reason: "Throttled", Message: "says so"}},
		"fails for good": {v1alpha1.DataStatus{ObservedRevision: "r",
			DataItemsStatus: []v1alpha1.DataItemStatus{item("failed", "Throttled"), item("failed", "NotFound")}},
			Delivery{Reported: true, Permanent: true, Reason: "NotFound", Message: "says so"}},
		"failed with another revision": {v1alpha1.DataStatus{ObservedRevision: "r0",
			DataItemsStatus: []v1alpha1.DataItemStatus{item("failed", "NotFound")}}, Delivery{Reported: true}},
	} {
		got := deliveryOf(&v1alpha1.Data{Spec: v1alpha1.DataSpec{Revision: "r", DataItems: make([]v1alpha1.DataItem, 1)}, Status: c.status})
		if !got.equal(c.want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
