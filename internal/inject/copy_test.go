// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// copiedPod is what kubectl debug --copy-to makes of an injected pod of this namespace.
func copiedPod(t *testing.T, change ...func(*corev1.Pod)) *corev1.Pod {
	t.Helper()
	req := request(pod(func(p *corev1.Pod) {
		p.Spec.InitContainers = initContainers("migrate")
		p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "MODE", Value: "fast"}}
		p.Spec.Volumes = []corev1.Volume{{Name: "own"}}
		p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "own", MountPath: "/own"}}
	}))
	req.DataSets = append(req.DataSets, dataSet("all", everySource))
	p := mustInject(t, req)
	p.Name, p.GenerateName, p.Annotations, p.Spec.ShareProcessNamespace = "copy", "", nil, new(true)
	for _, c := range change {
		c(p)
	}
	return p
}

func withoutInit(p *corev1.Pod) { p.Spec.InitContainers = nil }

// However little a copy kept of what Kuda gave to the pod, it is injected as that was,
// with a store of its own because it shares its processes.
func TestACopyOfAnInjectedPodIsInjectedAnew(t *testing.T) {
	for name, change := range map[string]func(*corev1.Pod){
		"with its init containers": func(*corev1.Pod) {},
		"without":                  withoutInit,
		"with its annotations":     func(p *corev1.Pod) { p.Annotations = map[string]string{v1alpha1.AnnotationInjected: "model"} },
		"with a debugger": func(p *corev1.Pod) {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "debugger", Image: "tools:1"})
		},
		"with another image": func(p *corev1.Pod) { p.Spec.Containers[0].Image = "tools:1" },
	} {
		p := copiedPod(t, change)
		got := mustInject(t, request(p))
		if got.Annotations[v1alpha1.AnnotationInjected] != "conf,model" || got.Annotations[v1alpha1.AnnotationStore] != v1alpha1.StorePod ||
			got.Spec.InitContainers[0].Name != sidecar.ContainerName {
			t.Errorf("%s: %v, init containers %s", name, got.Annotations, namesOf(got))
		}
		for i := range got.Spec.Containers {
			if c := &got.Spec.Containers[i]; findView(c) < 0 || c.VolumeMounts[findView(c)].SubPathExpr != sidecar.ViewSubPathExpr {
				t.Errorf("%s: %s mounts %v", name, c.Name, c.VolumeMounts)
			}
		}
		for _, v := range got.Spec.Volumes {
			if v.HostPath != nil || v.PersistentVolumeClaim != nil {
				t.Errorf("%s: volume %s stays: %+v", name, v.Name, v)
			}
		}
		if diff := cmp.Diff(apply(t, got, nil), apply(t, p, Patch(p, got))); diff != "" {
			t.Errorf("%s: the patch (-want +got):\n%s", name, diff)
		}
	}
}

func TestACopyThatIsNotSelectedKeepsNothingOfKudas(t *testing.T) {
	want := pod(func(p *corev1.Pod) {
		p.Name, p.GenerateName, p.Spec.ShareProcessNamespace = "copy", "", new(true)
		p.Spec.InitContainers = initContainers("migrate")
		p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "MODE", Value: "fast"}}
		p.Spec.Volumes = []corev1.Volume{{Name: "own"}}
		p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "own", MountPath: "/own"}}
	})
	for name, change := range map[string]func(*corev1.Pod){
		"with its init containers": func(*corev1.Pod) {},
		"without":                  withoutInit,
		"with its annotations": func(p *corev1.Pod) {
			p.Annotations = map[string]string{v1alpha1.AnnotationInjected: "model", v1alpha1.AnnotationStore: v1alpha1.StoreNode}
		},
	} {
		p := copiedPod(t, change)
		got := Disown(p)
		if got == nil {
			t.Errorf("%s: not recognised", name)
			continue
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(corev1.PodSpec{}, "InitContainers")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		for i := range got.Spec.InitContainers {
			if c := &got.Spec.InitContainers[i]; c.Name != "migrate" || len(c.Env)+len(c.VolumeMounts) > 0 {
				t.Errorf("%s: init container %+v", name, c)
			}
		}
		if diff := cmp.Diff(got, applyPatch(t, p, Patch(p, got)), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: the patch (-want +got):\n%s", name, diff)
		}
	}
}

func TestAPodThatIsNoCopyIsLeftAlone(t *testing.T) {
	for name, p := range map[string]*corev1.Pod{
		"plain": pod(),
		"a volume of the name": pod(func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: sidecar.VolumeToken,
				VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		}),
		"a token for another service": pod(func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{tokenVolume(sidecar.VolumeToken, "sts.amazonaws.com", "token")}
		}),
		"the store elsewhere": copiedPod(t, func(p *corev1.Pod) {
			p.Spec.Containers[0].VolumeMounts = append(p.Spec.Containers[0].VolumeMounts,
				corev1.VolumeMount{Name: sidecar.VolumeToken, MountPath: "/token"})
		}),
	} {
		if got := Disown(p); got != nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
