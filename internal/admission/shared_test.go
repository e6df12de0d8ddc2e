// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"strings"
	"testing"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func TestADataSetWithAPathOfAnotherGetsAWarning(t *testing.T) {
	set := func(name string, selector map[string]string, places ...string) *v1alpha1.DataSet {
		d := &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
		d.Spec.WorkloadSelector = selector
		for _, p := range places {
			d.Spec.Template.DataItems = append(d.Spec.Template.DataItems, v1alpha1.DataItem{LocalPath: p})
		}
		return d
	}
	web := map[string]string{"app": "web"}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		other, next *v1alpha1.DataSet
		want        bool
	}{
		"one place":         {set("zz", web, "/a", "/conf/app.txt"), set("aa", web, "conf//app.txt"), true},
		"inside":            {set("zz", web, "/conf"), set("aa", web, "/conf/app.txt"), true},
		"around":            {set("zz", web, "/conf/app.txt"), set("aa", web, "/conf"), true},
		"beside":            {set("zz", web, "/conf/a"), set("aa", web, "/conf/ab"), false},
		"other pods":        {set("zz", map[string]string{"app": "db"}, "/conf"), set("aa", web, "/conf"), false},
		"perhaps same pods": {set("zz", map[string]string{"tier": "gold"}, "/conf"), set("aa", web, "/conf"), true},
		"itself":            {set("aa", web, "/conf"), set("aa", web, "/conf"), false},
	} {
		d := &DataSets{Cache: fake.NewClientBuilder().WithScheme(scheme).WithObjects(c.other).Build(), Log: logr.Discard()}
		got := d.warnShared(t.Context(), "shop", c.next)
		if (len(got) == 1) != c.want || c.want && !strings.Contains(got[0], "of DataSet zz") {
			t.Errorf("%s: %v", name, got)
		}
	}
}
