// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// A running pod without the runtime is told the reason that injection would give.
func TestTheObstacleOfALivePodIsTheReasonOfInjection(t *testing.T) {
	mount := func(name, at string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: name, MountPath: at}}
		}
	}
	for name, c := range map[string]struct {
		change   func(*corev1.Pod)
		dataPath string
		want     string
	}{
		"nothing":      {func(*corev1.Pod) {}, "", ""},
		"crowded":      {func(p *corev1.Pod) { p.Spec.InitContainers = make([]corev1.Container, MaxContainers) }, "", "257 containers"},
		"many volumes": {func(p *corev1.Pod) { p.Spec.Volumes = make([]corev1.Volume, MaxVolumes+1) }, "", "1025 volumes"},
		"hostNetwork":  {func(p *corev1.Pod) { p.Spec.HostNetwork = true }, "", "hostNetwork"},
		"static":       {func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"} }, "", "static pods"},
		"Windows":      {func(p *corev1.Pod) { p.Spec.OS = &corev1.PodOS{Name: corev1.Windows} }, "", "Windows"},
		"opted out": {func(p *corev1.Pod) { p.Labels = map[string]string{v1alpha1.LabelInjection: v1alpha1.InjectionDisabled} }, "",
			"labelled"},
		"init container": {func(p *corev1.Pod) { p.Spec.InitContainers = []corev1.Container{{Name: sidecar.ContainerName}} }, "",
			"choose another name"},
		"container":         {func(p *corev1.Pod) { p.Spec.Containers[0].Name = sidecar.ContainerName }, "", "choose another name"},
		"volume":            {func(p *corev1.Pod) { p.Spec.Volumes = []corev1.Volume{{Name: sidecar.VolumeStore}} }, "", "choose another name"},
		"mount at the data": {mount("own", "/kuda/data/x"), "", "mount it elsewhere"},
		"mount elsewhere":   {mount("own", "/data"), "", ""},
		"read-only above": {func(p *corev1.Pod) {
			p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "own", MountPath: "/kuda", ReadOnly: true}}
		}, "", "read-only"},
		"configured path": {mount("own", "/data"), "/data", "mount it elsewhere"},
		"the pod's variable": {func(p *corev1.Pod) { p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: sidecar.EnvPodUID, Value: "x"}} }, "",
			"choose another name"},
	} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main"}}}}
		c.change(pod)
		before := pod.DeepCopy()
		got := Obstacle(pod, c.dataPath)
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if !equality.Semantic.DeepEqual(before, pod) {
			t.Errorf("%s: the pod was changed", name)
		}
	}
}
