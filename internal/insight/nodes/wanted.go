// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"cmp"
	"context"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/placement"
)

// ReadWanted returns what new pods get of these DataSets, by namespace and name. The notes
// say what is computed otherwise because the user may not read it.
func ReadWanted(ctx context.Context, c client.Client, sets []v1alpha1.DataSet) (wanted []Wanted, notes []string, err error) {
	slices.SortFunc(sets, func(a, b v1alpha1.DataSet) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	wanted = make([]Wanted, 0, len(sets))
	for i := range sets {
		d := &sets[i]
		template, err := placement.Template(ctx, c, d)
		switch {
		case apierrors.IsForbidden(err):
			notes = append(notes, "you may not read the revisions of DataSet "+d.Name+
				", so its items are those of its spec, also while it is rolled out")
			template = d.Spec.Template
		case err != nil:
			return nil, nil, err
		}
		wanted = append(wanted, Wanted{Namespace: d.Namespace, Items: placement.Wants(d, template)})
	}
	return wanted, notes, nil
}
