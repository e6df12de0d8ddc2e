// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package fieldindex

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
)

func TestDataIsFoundByReplicaOrPreheat(t *testing.T) {
	d := &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Name: "models", Namespace: "shop"}}
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-0", Namespace: "shop", UID: "u"}}
	replica, preheat := assignment.New(d, p, v1alpha1.DataSpec{}), assignment.NewPreheat(d, p, v1alpha1.DataSpec{})
	labelled := preheat.DeepCopy()
	labelled.Labels[v1alpha1.LabelDataSet] = "models"
	functions := Functions()
	for name, c := range map[string]struct {
		data             *v1alpha1.Data
		dataSet, preheat []string
	}{
		"replica":                        {replica, []string{"models"}, nil},
		"preheat":                        {preheat, nil, []string{"models"}},
		"preheat with a replica's label": {labelled, nil, []string{"models"}},
	} {
		if got := functions[DataSet](c.data); !slices.Equal(got, c.dataSet) {
			t.Errorf("%s: replica of %v, want %v", name, got, c.dataSet)
		}
		if got := functions[Preheat](c.data); !slices.Equal(got, c.preheat) {
			t.Errorf("%s: preheats for %v, want %v", name, got, c.preheat)
		}
		if got := functions[PodUID](c.data); !slices.Equal(got, []string{"u"}) {
			t.Errorf("%s: of pod %v", name, got)
		}
	}
}
