// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/gateway/identity"
)

func TestAPodIsSentThePreheatsOfItsNamespace(t *testing.T) {
	now := metav1.Now()
	set := func(namespace, name string, preheat *v1alpha1.Preheat, change ...func(*v1alpha1.DataSet)) *v1alpha1.DataSet {
		d := &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: v1alpha1.DataSetSpec{Preheat: preheat}}
		for _, f := range change {
			f(d)
		}
		return d
	}
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-0", Namespace: "shop", UID: "u"}}
	objects := []client.Object{
		set("shop", "models", &v1alpha1.Preheat{}), set("shop", "indexes", &v1alpha1.Preheat{}), set("shop", "words", nil),
		set("bank", "rates", &v1alpha1.Preheat{}),
		set("shop", "old", &v1alpha1.Preheat{}, func(d *v1alpha1.DataSet) {
			d.DeletionTimestamp, d.Finalizers = &now, []string{v1alpha1.FinalizerWithdraw}
		}),
		// The cache does not show this one's DataSet yet.
		assignment.NewPreheat(set("shop", "new", nil), p, v1alpha1.DataSpec{Revision: "r"}),
		assignment.New(set("shop", "words", nil), p, v1alpha1.DataSpec{Revision: "r"}),
	}
	c := newReader(t, objects...)
	want := newDesires(&service{paces: newPaces(), cached: c, live: c, bundle: func() []byte { return nil }},
		identity.Pod{Namespace: "shop", Name: "web-0", UID: "u"}, nil)
	got, err := want.readDesired(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"indexes", "models", "new"}, got.GetPreheats().GetDatasets()); diff != "" {
		t.Errorf("preheats (-want +got):\n%s", diff)
	}
	for _, a := range got.GetAssignments() {
		if a.GetPreheat() != (a.GetDataset() == "new") {
			t.Errorf("assignment of %s: preheat %v", a.GetDataset(), a.GetPreheat())
		}
	}
	if len(got.GetAssignments()) != 2 {
		t.Errorf("%d assignments", len(got.GetAssignments()))
	}
	with, without := objects[0].(*v1alpha1.DataSet), set("shop", "models", nil)
	if !dataSetDiffers(with, without) || !dataSetDiffers(without, with) || dataSetDiffers(with, with.DeepCopy()) {
		t.Error("streams are not woken when the list changes, or are when it does not")
	}
}
