// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package pod

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// Health is what a rollout compares a pod with: whether it is Ready, since
// when, and how often the containers of the application restarted. Containers
// that run before it (init containers) and the runtime do not count.
func Health(p *corev1.Pod) v1alpha1.PodHealth {
	var h v1alpha1.PodHealth
	if c := readyCondition(p); c != nil {
		h.Ready = c.Status == corev1.ConditionTrue
		if !c.LastTransitionTime.IsZero() {
			h.ReadyTransitionTime = c.LastTransitionTime.DeepCopy()
		}
	}
	for i := range p.Status.ContainerStatuses {
		h.Restarts += p.Status.ContainerStatuses[i].RestartCount
	}
	_, statuses := sidecars(p)
	for i := range statuses {
		h.Restarts += statuses[i].RestartCount
	}
	return h
}

// HealthChanged says whether the health of a pod with the runtime changed.
func HealthChanged(before, after *corev1.Pod) bool {
	return Injected(after) && !equality.Semantic.DeepEqual(Health(before), Health(after))
}

func readyCondition(p *corev1.Pod) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == corev1.PodReady {
			return &p.Status.Conditions[i]
		}
	}
	return nil
}
