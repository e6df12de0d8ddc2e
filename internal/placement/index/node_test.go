// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package index

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestOnlyTheConditionReadyCountsAsReady(t *testing.T) {
	since := metav1.NewTime(time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC))
	for status, ready := range map[corev1.ConditionStatus]bool{
		corev1.ConditionTrue: true, corev1.ConditionFalse: false, corev1.ConditionUnknown: false, "": false,
	} {
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{UID: "u", Labels: map[string]string{corev1.LabelTopologyZone: "east"}}}
		n.Status.NodeInfo.BootID = "b"
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeDiskPressure, Status: corev1.ConditionTrue, LastTransitionTime: since}}
		if status != "" {
			n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{Type: corev1.NodeReady, Status: status,
				LastTransitionTime: since})
		}
		got := NodeOf(n)
		if got.ReadySince.Equal(since.Time) != ready || got.ReadySince.IsZero() == ready || got.UID != "u" || got.BootID != "b" ||
			got.Zone != "east" {
			t.Errorf("Ready %q: %+v", status, got)
		}
	}
}

func TestAComebackIsNoticed(t *testing.T) {
	since := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	base := Node{UID: "u", BootID: "b", ReadySince: since}
	for name, c := range map[string]struct {
		before, after Node
		want          bool
	}{
		"nothing":        {base, base, false},
		"another zone":   {base, Node{UID: "u", BootID: "b", ReadySince: since.Local(), Zone: "east"}, false},
		"went away":      {base, Node{UID: "u", BootID: "b"}, false},
		"came back":      {Node{UID: "u", BootID: "b"}, base, true},
		"was away":       {base, Node{UID: "u", BootID: "b", ReadySince: since.Add(time.Second)}, true},
		"another boot":   {base, Node{UID: "u", BootID: "c", ReadySince: since}, true},
		"another object": {base, Node{UID: "v", BootID: "b", ReadySince: since}, true},
	} {
		if got := HasReturned(c.before, c.after); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
