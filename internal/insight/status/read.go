// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/insight/read"
)

// ReadInput returns what a view of the DataSet is computed from, without the time and the
// program. What the user may not read is named in Unread.
func ReadInput(ctx context.Context, c client.Reader, d *v1alpha1.DataSet) (*Input, error) {
	in := &Input{DataSet: d, Numbers: RevisionNumbers(ctx, c, d)}
	var list v1alpha1.DataList
	err := c.List(ctx, &list, client.InNamespace(d.Namespace), client.MatchingLabels{v1alpha1.LabelDataSet: d.Name})
	switch {
	case apierrors.IsForbidden(err):
		in.Unread = []string{"the pods and what failed in them: you may not list datas." + v1alpha1.GroupVersion.Group + " in namespace " +
			d.Namespace}
	case err != nil:
		return nil, fmt.Errorf("reading the Data of DataSet %s: %w", d.Name, err)
	}
	for i := range list.Items {
		in.Data = append(in.Data, &list.Items[i])
	}
	return in, nil
}

// RevisionNumbers returns the numbers of the revisions by name. Without the right to read
// revisions there are none, and those that the history knows are shown.
func RevisionNumbers(ctx context.Context, c client.Reader, d *v1alpha1.DataSet) map[string]int64 {
	revisions, err := read.Revisions(ctx, c, d)
	if err != nil {
		return nil
	}
	numbers := make(map[string]int64, len(revisions))
	for _, r := range revisions {
		numbers[r.Name] = r.Revision
	}
	return numbers
}

// Summaries returns a view of each DataSet without its pods, by namespace and name.
func Summaries(items []v1alpha1.DataSet, now time.Time, program string) []View {
	views := make([]View, 0, len(items))
	for i := range items {
		views = append(views, Build(Input{DataSet: &items[i], Now: now, Program: program}))
	}
	slices.SortFunc(views, func(a, b View) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	return views
}
