// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// What a runtime reported last stays in its Data while it cannot live.
func TestADataSetIsNotReadyWhileARuntimeCannotLive(t *testing.T) {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-1", Namespace: "shop"}}
	r := &replica{pod: p, delivered: true}
	s := v1alpha1.DataSetStatus{Replicas: 1, Success: 1, Ready: "1/1"}
	o := &observation{live: []*replica{r}}
	if c := readyCondition(s, o, firstFailure(o.live)); c.Status != metav1.ConditionTrue {
		t.Fatalf("before: %+v", c)
	}
	p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: sidecar.ContainerName, RestartCount: 4,
		State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}}}
	c := readyCondition(s, o, firstFailure(o.live))
	if c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonDeliveryFailed || !strings.Contains(c.Message, "kubectl logs web-1 -n shop") {
		t.Errorf("got %+v", c)
	}
}
