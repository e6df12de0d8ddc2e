// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package podstate

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// Selects reports whether a DataSet with this selector speaks of the pod: the pod
// carries every label and has not opted out. An empty selector selects nothing,
// and nothing selects the pods that Kuda makes to preheat nodes.
func Selects(selector map[string]string, p *corev1.Pod) bool {
	if len(selector) == 0 || p.Labels[v1alpha1.LabelInjection] == v1alpha1.InjectionDisabled || p.Labels[v1alpha1.LabelPreheat] != "" {
		return false
	}
	for key, value := range selector {
		if have, ok := p.Labels[key]; !ok || have != value {
			return false
		}
	}
	return true
}

// Preheats reports whether the manager made the pod to preheat a node for the
// DataSet. The label alone does not prove it: any user may write it.
func Preheats(d *v1alpha1.DataSet, p *corev1.Pod) bool {
	return p.Labels[v1alpha1.LabelPreheat] == d.Name && metav1.IsControlledBy(p, d)
}

// Injected reports whether the pod carries the runtime. The annotation alone is
// not trusted: any user may write it, and another webhook may have dropped the
// container again.
func Injected(p *corev1.Pod) bool {
	if _, ok := p.Annotations[v1alpha1.AnnotationInjected]; !ok {
		return false
	}
	return HasRuntime(p)
}

// Finished reports whether all containers of the pod have ended for good.
func Finished(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// Live reports whether the pod runs, or is going to: it neither ended nor is ending.
func Live(p *corev1.Pod) bool {
	return p.DeletionTimestamp == nil && !Finished(p)
}

// HasRuntime reports whether the pod has the runtime's container as a native sidecar.
func HasRuntime(p *corev1.Pod) bool {
	for i := range p.Spec.InitContainers {
		if c := &p.Spec.InitContainers[i]; c.Name == sidecar.ContainerName {
			return IsNativeSidecar(c)
		}
	}
	return false
}

// IsNativeSidecar reports whether an init container is a native sidecar, which goes
// on running beside the containers of the application.
func IsNativeSidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}
