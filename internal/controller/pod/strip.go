// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// Strip is the transform of the pod cache. Stripping twice gives the same as
// stripping once; what is not a pod passes unchanged.
func Strip(object any) (any, error) {
	p, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil
	}
	stripped := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name:              p.Name,
			Namespace:         p.Namespace,
			UID:               p.UID,
			ResourceVersion:   p.ResourceVersion,
			CreationTimestamp: p.CreationTimestamp,
			DeletionTimestamp: p.DeletionTimestamp,
			Labels:            p.Labels,
			OwnerReferences:   p.OwnerReferences,
		},
		Spec:   corev1.PodSpec{NodeName: p.Spec.NodeName},
		Status: corev1.PodStatus{Phase: p.Status.Phase},
	}
	for _, key := range []string{v1alpha1.AnnotationInjected, v1alpha1.AnnotationStore} {
		if value, ok := p.Annotations[key]; ok {
			if stripped.Annotations == nil {
				stripped.Annotations = make(map[string]string, 2)
			}
			stripped.Annotations[key] = value
		}
	}
	for i := range p.Spec.InitContainers {
		c := &p.Spec.InitContainers[i]
		if c.Name == sidecar.ContainerName {
			stripped.Spec.InitContainers = []corev1.Container{{Name: c.Name, RestartPolicy: c.RestartPolicy}}
			break
		}
	}
	for i := range p.Status.Conditions {
		c := &p.Status.Conditions[i]
		if c.Type == corev1.PodReady {
			stripped.Status.Conditions = []corev1.PodCondition{{Type: c.Type, Status: c.Status}}
			break
		}
	}
	return stripped, nil
}

// Changed says whether two states of a pod differ in anything that Selects,
// Injected, Finished and Live look at, or in the node. Most updates of a pod
// (its containers' states, its addresses) do not.
func Changed(before, after *corev1.Pod) bool {
	return before.UID != after.UID ||
		before.Spec.NodeName != after.Spec.NodeName ||
		Live(before) != Live(after) ||
		Finished(before) != Finished(after) ||
		Injected(before) != Injected(after) ||
		!maps.Equal(before.Labels, after.Labels)
}
