// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/insight/read"
)

// DataSet reads one DataSet of the namespace.
func (f *Frame) DataSet(ctx context.Context, name string) (*v1alpha1.DataSet, error) {
	namespace, err := f.Namespace()
	if err != nil {
		return nil, err
	}
	c, err := f.Client()
	if err != nil {
		return nil, err
	}
	d := &v1alpha1.DataSet{}
	switch err := c.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, d); {
	case apierrors.IsNotFound(err):
		return nil, f.noSuchDataSet(ctx, c, namespace, name)
	case err != nil:
		return nil, fmt.Errorf("reading DataSet %s: %w", name, err)
	}
	d.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("DataSet"))
	return d, nil
}

// noSuchDataSet says which other name was probably meant.
func (f *Frame) noSuchDataSet(ctx context.Context, c client.Client, namespace, name string) error {
	if near := nearName(name, listNames(ctx, c, namespace, v1alpha1.GroupVersion.WithKind("DataSet"))); near != "" {
		return fmt.Errorf("there is no DataSet %s in namespace %s; did you mean %s?", name, namespace, near)
	}
	return fmt.Errorf("there is no DataSet %s in namespace %s; choose another namespace by -n, or list all by: %s status -A",
		name, namespace, f.Program)
}

// NoSuchPod is the error of a pod that is not there. It says which other name was
// probably meant.
func NoSuchPod(ctx context.Context, c client.Client, key types.NamespacedName) error {
	hint := "; choose another namespace by -n"
	if near := nearName(key.Name, listNames(ctx, c, key.Namespace, schema.GroupVersionKind{Version: "v1", Kind: "Pod"})); near != "" {
		hint = "; did you mean " + near + "?"
	}
	return fmt.Errorf("there is no pod %s in namespace %s%s", key.Name, key.Namespace, hint)
}

// listNames lists the objects of a kind; none where they may not be listed.
func listNames(ctx context.Context, c client.Client, namespace string, kind schema.GroupVersionKind) []string {
	var list metav1.PartialObjectMetadataList
	list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	if err := c.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil
	}
	names := make([]string, 0, len(list.Items))
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names
}

// ownerOfData returns the DataSet or the pod that a Data is of.
func (f *Frame) ownerOfData(ctx context.Context, name, wanted string) (string, error) {
	namespace, err := f.Namespace()
	if err != nil {
		return "", err
	}
	c, err := f.Client()
	if err != nil {
		return "", err
	}
	data := &v1alpha1.Data{}
	switch err := c.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, data); {
	case apierrors.IsNotFound(err):
		near := didYouMean(name, listNames(ctx, c, namespace, v1alpha1.GroupVersion.WithKind("Data")))
		return "", fmt.Errorf("there is no Data %s in namespace %s%s", name, namespace, near)
	case err != nil:
		return "", fmt.Errorf("reading Data %s: %w", name, err)
	}
	owner := assignment.DataSet(data)
	if wanted == kindPod {
		owner = data.Spec.PodName
	}
	if owner == "" {
		return "", fmt.Errorf("the Data %s does not say of which %s it is: it was not made by Kuda", name, kindTitles[wanted])
	}
	return owner, nil
}

// Revisions reads the DataSet's ControllerRevisions, by number.
func (f *Frame) Revisions(ctx context.Context, d *v1alpha1.DataSet) ([]*appsv1.ControllerRevision, error) {
	c, err := f.Client()
	if err != nil {
		return nil, err
	}
	return read.Revisions(ctx, c, d)
}
