// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import (
	"context"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func TestDataSetThatIsNotCachedIsReadFromTheAPIServer(t *testing.T) {
	h := newHarness()
	h.node("n1")
	models := h.dataSet("models", v1alpha1.PlacementRequire)
	h.dataSetGone(models)
	asked := 0
	h.readDataSet = func(_ context.Context, namespace, name string) (*v1alpha1.DataSet, error) {
		asked++
		if namespace != models.Namespace || name != models.Name {
			return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "datasets"}, name)
		}
		return models, nil
	}
	p := newPod("p")
	p.Annotations = map[string]string{v1alpha1.AnnotationInjected: "gone,models"}
	if _, _, status := h.preFilter(p); status.Code() != fwk.UnschedulableAndUnresolvable {
		t.Errorf("a pod that requires data of a DataSet that is new: %v", status)
	}
	if h.catalog.hasDataSet(models.Namespace, models.Name) {
		t.Error("what no event has told of is kept, and no event may ever take it away")
	}
	h.dataSetChanged(models)
	asked = 0
	p.Annotations[v1alpha1.AnnotationInjected] = "models"
	if h.preFilter(p); asked != 0 {
		t.Errorf("the API server was asked %d times for what is known", asked)
	}
}
