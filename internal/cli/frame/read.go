// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
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
		return nil, fmt.Errorf("there is no DataSet %s in namespace %s; choose another namespace by -n, or list all by: %s status -A",
			name, namespace, f.Program)
	case err != nil:
		return nil, fmt.Errorf("reading DataSet %s: %w", name, err)
	}
	d.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("DataSet"))
	return d, nil
}

// Revisions reads the DataSet's ControllerRevisions, by number.
func (f *Frame) Revisions(ctx context.Context, d *v1alpha1.DataSet) ([]*appsv1.ControllerRevision, error) {
	c, err := f.Client()
	if err != nil {
		return nil, err
	}
	var list appsv1.ControllerRevisionList
	if err := c.List(ctx, &list, client.InNamespace(d.Namespace), client.MatchingLabels{v1alpha1.LabelDataSet: d.Name}); err != nil {
		return nil, fmt.Errorf("reading the revisions of DataSet %s: %w", d.Name, err)
	}
	var revisions []*appsv1.ControllerRevision
	for i := range list.Items {
		if r := &list.Items[i]; metav1.IsControlledBy(r, d) {
			revisions = append(revisions, r)
		}
	}
	slices.SortFunc(revisions, func(a, b *appsv1.ControllerRevision) int {
		return cmp.Or(cmp.Compare(a.Revision, b.Revision), cmp.Compare(a.Name, b.Name))
	})
	return revisions, nil
}
