// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package fieldindex

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
)

func TestDataIsFoundByReplicaOrPreheat(t *testing.T) {
	d := &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Name: "models", Namespace: "shop"}}
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-0", Namespace: "shop", UID: "u"}}
	replica, preheat := assignment.New(d, p, v1alpha1.DataSpec{}), assignment.NewPreheat(d, p, v1alpha1.DataSpec{})
	labelled := preheat.DeepCopy()
	labelled.Labels[v1alpha1.LabelDataSet] = "models"
	functions := map[string]client.IndexerFunc{}
	for _, i := range Indexes() {
		functions[i.Field] = i.Values
	}
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

func TestPodsAreFoundByTheLabelThatTellsMost(t *testing.T) {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "search-frontend", "live": "true", "tier": "web"}}}
	for name, c := range map[string]struct {
		selector map[string]string
		want     string
	}{
		"several": {map[string]string{"live": "true", "app": "search-frontend"}, "app=search-frontend"},
		"equal":   {map[string]string{"tier": "web", "app": "abc"}, "app=abc"},
		"one":     {map[string]string{"tier": ""}, "tier="},
		"none":    {nil, ""},
	} {
		var o client.ListOptions
		o.ApplyOptions(SelectPods(c.selector))
		got := ""
		if o.FieldSelector != nil {
			got, _ = o.FieldSelector.RequiresExactMatch(Label)
		}
		if got != c.want || o.LabelSelector == nil || o.LabelSelector.Matches(labels.Set(p.Labels)) != (name == "several" || name == "none") {
			t.Errorf("%s: by %q, with %v", name, got, o.LabelSelector)
		}
	}
	if got := labelIndex(p); !slices.Contains(got, LabelValue("app", "search-frontend")) || len(got) != 3 {
		t.Errorf("indexed by %v", got)
	}
}

func TestDataSetsThatPreheatAreFound(t *testing.T) {
	with, without := &v1alpha1.DataSet{}, &v1alpha1.DataSet{}
	with.Spec.Preheat = &v1alpha1.Preheat{}
	if !slices.Equal(preheatingIndex(with), []string{Yes}) || preheatingIndex(without) != nil {
		t.Errorf("found %v and %v", preheatingIndex(with), preheatingIndex(without))
	}
}
