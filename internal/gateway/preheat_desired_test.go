// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/gateway/identity"
)

func TestAPreheatPodWaitsForItsDataWhileItIsWanted(t *testing.T) {
	yes := true
	for name, c := range map[string]struct {
		change func(*v1alpha1.DataSet, *corev1.Pod)
		gone   int
	}{
		"its Data is only late": {func(*v1alpha1.DataSet, *corev1.Pod) {}, 0},
		"the selector matches nothing": {func(d *v1alpha1.DataSet,
			_ *corev1.Pod) {
			d.Spec.WorkloadSelector = map[string]string{"no": "pod"}
		}, 0},
		"the preheat is no longer wanted":  {func(d *v1alpha1.DataSet, _ *corev1.Pod) { d.Spec.Preheat = nil }, 1},
		"the pod is of an earlier DataSet": {func(d *v1alpha1.DataSet, _ *corev1.Pod) { d.UID = "later" }, 1},
		"another owner made the pod":       {func(_ *v1alpha1.DataSet, p *corev1.Pod) { p.OwnerReferences = nil }, 1},
	} {
		set := &v1alpha1.DataSet{
			ObjectMeta: metav1.ObjectMeta{Name: "models", Namespace: "shop", UID: "s"},
			Spec:       v1alpha1.DataSetSpec{WorkloadSelector: map[string]string{"app": "web"}, Preheat: &v1alpha1.Preheat{}},
		}
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Name: "warm", Namespace: "shop", UID: "u", Labels: map[string]string{"app": "web", v1alpha1.LabelPreheat: "models"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "data.kuda.io/v1alpha1", Kind: "DataSet", Name: "models",
				UID: "s", Controller: &yes}},
		}}
		c.change(set, p)
		all := newReader(t, set, p)
		want := newDesires(&service{paces: newPaces(), cached: all, live: all, bundle: func() []byte { return nil }},
			identity.Pod{Namespace: "shop", Name: "warm", UID: "u"}, []string{"models"})
		got, err := want.readDesired(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(got.GetGone()) != c.gone {
			t.Errorf("%s: gone %v", name, got.GetGone())
		}
	}
}
