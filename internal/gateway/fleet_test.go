// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/fieldindex"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// envFleet has the played cluster have a namespace "fleet" in which every pod that is
// asked for exists.
const envFleet = "KUDA_TEST_FLEET"

// fleetReader is a cache of a large namespace that makes up its objects.
type fleetReader struct{ client.Reader }

func (f fleetReader) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if key.Namespace != "fleet" {
		return f.Reader.Get(ctx, key, o, opts...)
	}
	switch o := o.(type) {
	case *corev1.Pod:
		fleetPod(strings.TrimPrefix(key.Name, "web-")).DeepCopyInto(o)
	case *v1alpha1.DataSet:
		fleetSet().DeepCopyInto(o)
	default:
		return apierrors.NewNotFound(schema.GroupResource{Resource: "objects"}, key.Name)
	}
	return nil
}

func (f fleetReader) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	var o client.ListOptions
	o.ApplyOptions(opts)
	if o.Namespace != "fleet" {
		return f.Reader.List(ctx, list, opts...)
	}
	datas, ok := list.(*v1alpha1.DataList)
	if !ok {
		return nil
	}
	if uid, exact := o.FieldSelector.RequiresExactMatch(fieldindex.PodUID); exact {
		datas.Items = []v1alpha1.Data{*fleetData(strings.TrimPrefix(uid, "fleet-"))}
	}
	return nil
}

func fleetSet() *v1alpha1.DataSet {
	return &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Name: "models", Namespace: "fleet", UID: "fleet"},
		Spec: v1alpha1.DataSetSpec{WorkloadSelector: map[string]string{"app": "web"}}}
}

func fleetPod(n string) *corev1.Pod {
	always := corev1.ContainerRestartPolicyAlways
	p := &corev1.Pod{Spec: corev1.PodSpec{NodeName: "n1",
		InitContainers: []corev1.Container{{Name: sidecar.ContainerName, RestartPolicy: &always}}}}
	number, _ := strconv.Atoi(n)
	p.Name, p.Namespace, p.UID, p.Labels = "web-"+n, "fleet", podUID("fleet", number), map[string]string{"app": "web"}
	p.Annotations = map[string]string{v1alpha1.AnnotationInjected: "models", v1alpha1.AnnotationStore: v1alpha1.StoreNode}
	return p
}

// fleetData has eight items, as a DataSet of some size.
func fleetData(n string) *v1alpha1.Data {
	spec := v1alpha1.DataSpec{Revision: "models-7d9f"}
	for i := range 8 {
		spec.DataItems = append(spec.DataItems, v1alpha1.DataItem{Namespace: "default", Name: fmt.Sprint("item-", i), Version: "v1",
			RemotePath: fmt.Sprint("/models/recommendation/item-", i), LocalPath: fmt.Sprint("/item-", i)})
	}
	return assignment.New(fleetSet(), fleetPod(n), spec)
}
