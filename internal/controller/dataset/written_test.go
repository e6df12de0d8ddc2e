// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func TestAStateBeforeTheLastWriteIsStale(t *testing.T) {
	at := func(version string) *v1alpha1.DataSet {
		return &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "models", ResourceVersion: version}}
	}
	var w written
	if w.hasNewer(at("5")) {
		t.Error("nothing was written")
	}
	w.recordWrite(at("9"))
	for _, stale := range []string{"5", "8"} {
		if !w.hasNewer(at(stale)) {
			t.Errorf("version %s is before what was written", stale)
		}
	}
	if w.hasNewer(at("10")) || w.hasNewer(at("9")) {
		t.Error("a state that is as new was taken for an old one")
	}
	w.recordWrite(at("100"))
	if !w.hasNewer(at("99")) {
		t.Error("versions are compared as text")
	}
	if w.hasNewer(at("not a number")) {
		t.Error("what cannot be compared must not hold a DataSet for ever")
	}
	w.recordWrite(at("100"))
	w.forgetDataSet(client.ObjectKeyFromObject(at("")))
	if w.hasNewer(at("1")) {
		t.Error("a DataSet that is gone was not forgotten")
	}
}
