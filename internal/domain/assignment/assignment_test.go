// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package assignment

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func TestEachPodAndDataSetHasItsOwnDataName(t *testing.T) {
	seen := map[string]string{}
	long := strings.Repeat("p", 253)
	// What is made in this order takes the first name that is free.
	for _, c := range []struct {
		dataset, pod string
		uid          types.UID
	}{
		{"models", "web", "1"}, {"models", "web-0", "1a"}, {"models-web", "0", "1b"}, {"models", "web-0", "2"},
		{"models", long, "3"}, {"models", long[:252] + "q", "4"}, {strings.Repeat("d", 63), long, "5"},
		{strings.Repeat("d", 63), long, "6"}, {"models", strings.Repeat("a.", 126) + "b", "7"}, {"model", strings.Repeat("a.", 126) + "b", "8"},
	} {
		name, taken := Name(c.dataset, c.pod, c.uid, 0), 0
		for seen[name] != "" && taken < 2 {
			taken++
			name = Name(c.dataset, c.pod, c.uid, taken)
		}
		if problems := validation.IsDNS1123Subdomain(name); problems != nil {
			t.Errorf("%s for %+v: %v", name, c, problems)
		}
		if other, ok := seen[name]; ok {
			t.Errorf("%s is the name for %s and %+v", name, other, c)
		}
		seen[name] = c.pod
	}
}

func TestADataNameIsAsShortAsItCanBe(t *testing.T) {
	long := strings.Repeat("p", 253)
	for name, c := range map[string]struct {
		dataset, pod string
		taken        int
		want         string
	}{
		"both fit":     {"models", "web-7f9c5d-x2k4q", 0, "models-web-7f9c5d-x2k4q"},
		"at the limit": {"models", long[:246], 0, "models-" + long[:246]},
		"too long":     {"models", long[:247], 0, "models-" + long[:237] + "-"},
		"taken":        {"models", "web-0", 1, "models-web-0-"},
		"taken twice":  {"models", "web-0", 2, "models-web-0-"},
	} {
		got := Name(c.dataset, c.pod, "u", c.taken)
		hash, ok := strings.CutPrefix(got, c.want)
		if hashed := strings.HasSuffix(c.want, "-"); !ok || hashed != (len(hash) == 8) || !hashed && hash != "" {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	first := Name("models", "web-0", "u", 1)
	if first == Name("models", "web-0", "u", 2) || first == Name("models", "web-0", "v", 1) {
		t.Error("a name that is taken is tried again")
	}
}

func TestEachPodNameHasAValidLabelValue(t *testing.T) {
	for _, pod := range []string{
		"p", strings.Repeat("p", 63), strings.Repeat("p", 64), strings.Repeat("p", 253),
		strings.Repeat("p", 52) + "-.-x" + strings.Repeat("p", 100),
	} {
		value := LabelValue(pod)
		if problems := validation.IsValidLabelValue(value); problems != nil {
			t.Errorf("%s: %v", value, problems)
		}
	}
	if LabelValue(strings.Repeat("p", 64)) == LabelValue(strings.Repeat("p", 65)) {
		t.Error("two pods have one label value")
	}
}

func TestThePodOwnsItsData(t *testing.T) {
	d := &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Name: "models", Namespace: "shop"}}
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-0", Namespace: "shop", UID: "u"}}
	data := New(d, p, Spec("r", p.Name, v1alpha1.DataTemplateSpec{}))
	if owner := metav1.GetControllerOf(data); owner == nil || owner.UID != "u" || owner.Kind != "Pod" {
		t.Errorf("owner = %+v, want the pod", owner)
	}
	if DataSet(data) != "models" || PodUID(data) != "u" {
		t.Errorf("labels = %v", data.Labels)
	}
}

func TestDeliveredNeedsAReportOnTheAssignedRevision(t *testing.T) {
	item := v1alpha1.DataItem{Name: "m"}
	good := func() *v1alpha1.Data {
		return &v1alpha1.Data{
			Spec:   v1alpha1.DataSpec{Revision: "r2", DataItems: []v1alpha1.DataItem{item}},
			Status: v1alpha1.DataStatus{ObservedRevision: "r2", DataItems: 1, Success: 1},
		}
	}
	if !Delivered(good()) {
		t.Fatal("a complete delivery is not recognised")
	}
	for name, spoil := range map[string]func(*v1alpha1.Data){
		"another revision":  func(d *v1alpha1.Data) { d.Status.ObservedRevision = "r1" },
		"one item missing":  func(d *v1alpha1.Data) { d.Status.Success = 0 },
		"counts of old set": func(d *v1alpha1.Data) { d.Spec.DataItems = append(d.Spec.DataItems, item) },
		"to be withdrawn":   func(d *v1alpha1.Data) { d.Spec.Withdraw = true },
	} {
		d := good()
		spoil(d)
		if Delivered(d) {
			t.Errorf("%s: counts as delivered", name)
		}
	}
}

func TestDataOfAPreheatIsToldFromReplicas(t *testing.T) {
	d := &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Name: "models", Namespace: "shop"}}
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-0", Namespace: "shop", UID: "u"}}
	replica, preheat := New(d, p, v1alpha1.DataSpec{}), NewPreheat(d, p, v1alpha1.DataSpec{})
	both := preheat.DeepCopy()
	both.Labels[v1alpha1.LabelDataSet] = "models"
	for name, c := range map[string]struct {
		data     *v1alpha1.Data
		preheats bool
	}{
		"replica": {replica, false}, "preheat": {preheat, true}, "a label was added": {both, true},
	} {
		if DataSet(c.data) != "models" || Preheats(c.data) != c.preheats {
			t.Errorf("%s: of %s, preheats %v", name, DataSet(c.data), Preheats(c.data))
		}
	}
}
