// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/internal/placement/index"
)

func TestStrippingANodeKeepsWhatDecides(t *testing.T) {
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: "n1", UID: "u", ResourceVersion: "7", Labels: map[string]string{corev1.LabelTopologyZone: "east"},
			Annotations: map[string]string{"large": "x"},
		},
		Spec: corev1.NodeSpec{Unschedulable: true, Taints: []corev1.Taint{{Key: "k"}}, PodCIDR: "10.0.0.0/24"},
		Status: corev1.NodeStatus{
			NodeInfo: corev1.NodeSystemInfo{BootID: "b", KernelVersion: "6"},
			Images:   []corev1.ContainerImage{{Names: []string{"i"}}},
			Conditions: []corev1.NodeCondition{
				{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse},
				{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.Now(),
					LastTransitionTime: metav1.NewTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))},
			},
		},
	}
	object, err := stripNode(n)
	if err != nil {
		t.Fatal(err)
	}
	stripped := object.(*corev1.Node)
	if diff := cmp.Diff(index.NodeOf(n), index.NodeOf(stripped)); diff != "" {
		t.Errorf("what placement knows of the node (-before +after):\n%s", diff)
	}
	if !stripped.Spec.Unschedulable || len(stripped.Spec.Taints) != 1 || stripped.ResourceVersion != "7" {
		t.Errorf("lost: %+v", stripped)
	}
	if len(stripped.Status.Images)+len(stripped.Annotations) != 0 || !stripped.Status.Conditions[0].LastHeartbeatTime.IsZero() {
		t.Errorf("kept: %+v", stripped)
	}
}
