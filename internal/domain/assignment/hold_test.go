// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package assignment

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

func TestOnlyAPodWhoseRuntimeRanHoldsItems(t *testing.T) {
	runtime := func(s corev1.ContainerStatus) func(*v1alpha1.Data, *corev1.Pod) {
		s.Name = sidecar.ContainerName
		return func(_ *v1alpha1.Data, p *corev1.Pod) { p.Status.InitContainerStatuses = []corev1.ContainerStatus{s} }
	}
	waits := func(reason string) func(*v1alpha1.Data, *corev1.Pod) {
		return runtime(corev1.ContainerStatus{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}})
	}
	for name, c := range map[string]struct {
		change func(*v1alpha1.Data, *corev1.Pod)
		want   bool
	}{
		"no node":             {func(*v1alpha1.Data, *corev1.Pod) {}, false},
		"volumes are missing": {waits("PodInitializing"), false},
		"the image fails":     {waits("ImagePullBackOff"), false},
		"an earlier init container fails": {func(_ *v1alpha1.Data, p *corev1.Pod) {
			p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "migrate", RestartCount: 7}}
		}, false},
		"the runtime runs":    {runtime(corev1.ContainerStatus{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}), true},
		"the runtime ended":   {runtime(corev1.ContainerStatus{RestartCount: 1}), true},
		"the runtime said so": {func(d *v1alpha1.Data, _ *corev1.Pod) { d.Status.ObservedRevision = "r0" }, true},
		"the pod runs":        {func(_ *v1alpha1.Data, p *corev1.Pod) { p.Status.Phase = corev1.PodRunning }, true},
		"the pod ended":       {func(_ *v1alpha1.Data, p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }, false},
		"withdrawn": {func(d *v1alpha1.Data, p *corev1.Pod) {
			p.Status.Phase = corev1.PodRunning
			d.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Reason: v1alpha1.ReasonWithdrawn}}
		}, false},
		"another pod": {func(_ *v1alpha1.Data, p *corev1.Pod) { p.UID, p.Status.Phase = "v", corev1.PodRunning }, false},
	} {
		// Told and silent is not taken for holding.
		d := &v1alpha1.Data{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{v1alpha1.LabelPodUID: "u"}},
			Spec: v1alpha1.DataSpec{Withdraw: true}}
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "u"}, Status: corev1.PodStatus{Phase: corev1.PodPending}}
		c.change(d, p)
		if got := Holds(d, p); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if Holds(&v1alpha1.Data{}, nil) {
		t.Error("a pod that is gone holds items")
	}
}
