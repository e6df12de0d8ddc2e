// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

func TestAPreheatPodGetsItsDataSetAndTheRuntimeImage(t *testing.T) {
	gone := dataSet("gone")
	gone.DeletionTimestamp = &metav1.Time{}
	all := []*v1alpha1.DataSet{dataSet("model"), dataSet("conf", immediately), gone}
	for name, want := range map[string]int{"conf": 1, "gone": 0, "unknown": 0} {
		labels := map[string]string{"app": "search", v1alpha1.LabelPreheat: name}
		got := Selecting(all, labels)
		if len(got) != want || want == 1 && got[0].Name != name {
			t.Errorf("%s: selected by %v", name, got)
		}
	}
	req := request(pod(func(p *corev1.Pod) {
		p.Labels = map[string]string{v1alpha1.LabelPreheat: "conf"}
		p.Spec.Containers = []corev1.Container{
			{Name: sidecar.PreheatContainer, Image: sidecar.PreheatImage, ImagePullPolicy: corev1.PullAlways}, {Name: "other", Image: "other:1"},
		}
	}))
	req.DataSets = Selecting(all, req.Pod.Labels)
	got := mustInject(t, req)
	if done := got.Spec.Containers[0]; done.Image != req.Settings.Image || done.ImagePullPolicy != req.Settings.PullPolicy ||
		got.Spec.Containers[1].Image != "other:1" {
		t.Errorf("images: %+v", got.Spec.Containers)
	}
	if env := got.Spec.InitContainers[0].Env; !slices.Contains(env, corev1.EnvVar{Name: sidecar.EnvWaitFor, Value: "conf"}) {
		t.Errorf("it ends before the data is there: %v", env)
	}
	ops := Patch(req.Pod, got)
	for _, path := range []string{"/spec/containers/0/image", "/spec/containers/0/imagePullPolicy"} {
		if !slices.ContainsFunc(ops, func(o Operation) bool { return o.Path == path }) {
			t.Errorf("the patch leaves out %s: %v", path, ops)
		}
	}
	plain := request(pod(func(p *corev1.Pod) { p.Spec.Containers[0].Image = sidecar.PreheatImage }))
	if got := mustInject(t, plain); got.Spec.Containers[0].Image != sidecar.PreheatImage {
		t.Error("the image of an application is changed")
	}
}
