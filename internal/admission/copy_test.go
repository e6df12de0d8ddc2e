// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/inject"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// TestACopyOfAnInjectedPodIsInjectedOnlyWithItsLabels copies an injected pod as kubectl debug does.
func TestACopyOfAnInjectedPodIsInjectedOnlyWithItsLabels(t *testing.T) {
	for name, c := range map[string]struct {
		change   func(*corev1.Pod)
		required bool
		injected bool
	}{
		"without its labels":              {func(p *corev1.Pod) { p.Labels, p.Annotations = nil, nil }, false, false},
		"with its annotations alone":      {func(p *corev1.Pod) { p.Labels = nil }, false, false},
		"without its init containers too": {func(p *corev1.Pod) { p.Labels, p.Annotations, p.Spec.InitContainers = nil, nil, nil }, false, false},
		"where injection is required":     {func(p *corev1.Pod) { p.Labels, p.Annotations = nil, nil }, true, false},
		"with its labels":                 {func(p *corev1.Pod) { p.Annotations = nil }, false, true},
		"with its labels alone":           {func(p *corev1.Pod) { p.Annotations, p.Spec.InitContainers = nil, nil }, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := handler(t, shop("shop")...)
			h.Required = c.required
			_, original := admit(t, h, replica())
			c.change(original)
			resp, after := admit(t, h, original)
			runtime := len(after.Spec.InitContainers) == 1 && after.Spec.InitContainers[0].Name == sidecar.ContainerName
			_, annotated := after.Annotations[v1alpha1.AnnotationInjected]
			if !resp.Allowed || runtime != c.injected || annotated != c.injected || (len(after.Spec.Volumes) > 0) != c.injected {
				t.Errorf("allowed %t, runtime %t, annotations %v, volumes %v", resp.Allowed, runtime, after.Annotations, after.Spec.Volumes)
			}
			if warned := strings.Contains(strings.Join(resp.Warnings, " "), "--keep-labels"); warned == c.injected {
				t.Errorf("warnings: %q", resp.Warnings)
			}
		})
	}
}

func TestAPodWithTooManyContainersIsNotTakenForACopy(t *testing.T) {
	h := handler(t, shop("shop")...)
	_, pod := admit(t, h, replica())
	pod.Labels = nil
	pod.Spec.InitContainers = make([]corev1.Container, inject.MaxContainers)
	if resp := h.Handle(t.Context(), create(t, pod)); !resp.Allowed || len(resp.Patch) != 0 {
		t.Errorf("allowed %t, patch %.200s", resp.Allowed, resp.Patch)
	}
}
