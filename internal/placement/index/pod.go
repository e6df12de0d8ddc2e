// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package index

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// Applies reports whether what nodes hold has any bearing on where a pod goes. It
// has none on one that has its node already, as those of DaemonSets do, on the pods
// that Kuda makes for preheating, and on one with a store of its own, which
// downloads wherever it runs.
func Applies(pod *corev1.Pod) bool {
	return pod.Labels[v1alpha1.LabelPreheat] == "" && pod.Annotations[v1alpha1.AnnotationStore] != v1alpha1.StorePod && !isPinned(&pod.Spec)
}

// isPinned reports whether the pod can run on nodes only that it names.
func isPinned(spec *corev1.PodSpec) bool {
	if spec.NodeName != "" {
		return true
	}
	a := spec.Affinity
	if a == nil || a.NodeAffinity == nil || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return false
	}
	terms := a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	for i := range terms {
		if !namesNodes(&terms[i]) {
			return false
		}
	}
	return len(terms) > 0
}

func namesNodes(term *corev1.NodeSelectorTerm) bool {
	for _, f := range term.MatchFields {
		if f.Key == metav1.ObjectNameField && f.Operator == corev1.NodeSelectorOpIn {
			return true
		}
	}
	return false
}
