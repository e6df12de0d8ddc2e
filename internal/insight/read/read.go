// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package read

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// Revisions returns the DataSet's ControllerRevisions, by number.
func Revisions(ctx context.Context, c client.Reader, d *v1alpha1.DataSet) ([]*appsv1.ControllerRevision, error) {
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
