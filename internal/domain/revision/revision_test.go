// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func dataSet(name, version string) *v1alpha1.DataSet {
	return &v1alpha1.DataSet{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop"},
		Spec: v1alpha1.DataSetSpec{Template: v1alpha1.DataTemplateSpec{
			DataItems: []v1alpha1.DataItem{{
				Name: "m", Namespace: "default", RemotePath: "m", LocalPath: "m",
				Version: version, DataSourceType: v1alpha1.DataSourceHTTP,
			}},
			DataSources: v1alpha1.DataSources{HTTP: &v1alpha1.HTTPDataSource{URL: "http://h/"}},
		}},
	}
}

func build(t *testing.T, d *v1alpha1.DataSet, number int64, collision int) *appsv1.ControllerRevision {
	t.Helper()
	r, err := New(d, number, collision)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestEqualTemplatesMakeOneRevision(t *testing.T) {
	one, two := dataSet("models", "v1"), dataSet("models", "v2")
	history := []*appsv1.ControllerRevision{build(t, one, 1, 0), build(t, two, 2, 0)}
	if got := Find(history, one.Spec.Template); got != history[0] {
		t.Errorf("Find(v1) = %v, want the first revision", got)
	}
	if got := Find(history, dataSet("models", "v3").Spec.Template); got != nil {
		t.Errorf("Find(v3) = %v, want none", got)
	}
	if build(t, one, 1, 0).Name != build(t, one, 5, 0).Name {
		t.Error("the name depends on the number")
	}
}

func TestOtherSpacingMakesNoNewRevision(t *testing.T) {
	d := dataSet("models", "v1")
	r := build(t, d, 1, 0)
	r.Data.Raw = []byte(" " + strings.ReplaceAll(string(r.Data.Raw), ":", " : ") + "\n")
	r.Data.Raw = []byte(strings.ReplaceAll(string(r.Data.Raw), "http : //", "http://"))
	if !Holds(r, d.Spec.Template) {
		t.Errorf("%s is not recognised", r.Data.Raw)
	}
}

func TestACollisionGetsAnotherName(t *testing.T) {
	d := dataSet(strings.Repeat("a", 63), "v1")
	first, second := build(t, d, 1, 0), build(t, d, 1, 1)
	if first.Name == second.Name {
		t.Errorf("both are called %s", first.Name)
	}
	for _, r := range []*appsv1.ControllerRevision{first, second} {
		if problems := validation.IsDNS1123Subdomain(r.Name); problems != nil {
			t.Errorf("%s: %v", r.Name, problems)
		}
	}
}

func TestHistoryKeepsARevisionInUse(t *testing.T) {
	var history []*appsv1.ControllerRevision
	for i, name := range []string{"a", "b", "c", "d", "e"} {
		history = append(history, &appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{Name: name}, Revision: int64(5 - i)})
	}
	inUse := func(name string) bool { return name == "e" }
	for limit, want := range map[int][]string{0: {"d", "c", "b", "a"}, 1: {"d", "c", "b"}, 4: nil, 10: nil} {
		var got []string
		for _, r := range Superfluous(history, inUse, limit) {
			got = append(got, r.Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("limit %d: deletes %v, want %v", limit, got, want)
		}
	}
}

func TestChangeCauseIsKept(t *testing.T) {
	d := dataSet("models", "v1")
	d.Annotations = map[string]string{v1alpha1.AnnotationChangeCause: "ticket 7"}
	r := build(t, d, 1, 0)
	if got := r.Annotations[v1alpha1.AnnotationChangeCause]; got != "ticket 7" {
		t.Errorf("change cause = %q", got)
	}
	d.Annotations = nil
	if SetChangeCause(r, d) || r.Annotations[v1alpha1.AnnotationChangeCause] != "ticket 7" {
		t.Error("a DataSet without a change cause took the revision's away")
	}
}

func TestARevisionRemembersThePodsThatItWasFor(t *testing.T) {
	d := &v1alpha1.DataSet{Spec: v1alpha1.DataSetSpec{WorkloadSelector: map[string]string{"b": "2", "a": "1"}}}
	r, err := New(d, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := Selector(r); !ok || got["a"] != "1" || got["b"] != "2" || len(got) != 2 {
		t.Errorf("got %v, %t", got, ok)
	}
	if SetSelector(r, d) {
		t.Error("the same selector is a change")
	}
	d.Spec.WorkloadSelector["a"] = "3"
	if !SetSelector(r, d) {
		t.Error("another selector is no change")
	}
	if got, _ := Selector(r); got["a"] != "3" {
		t.Errorf("got %v", got)
	}
	delete(r.Annotations, AnnotationSelector)
	if _, ok := Selector(r); ok {
		t.Error("an unknown selector is known")
	}
}
