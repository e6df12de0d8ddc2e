// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"context"
	"fmt"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/insight/plural"
)

// Failing is what another try may help, apart from the rollout as a whole.
type Failing struct {
	// items failed in so many pods.
	items, pods int
	// prefetches are pods in which what is downloaded ahead failed, and nodes those
	// that could not be preheated.
	prefetches, nodes int
}

// FindFailing counts what failed of a DataSet.
func FindFailing(ctx context.Context, c client.Reader, d *v1alpha1.DataSet) (Failing, error) {
	var list v1alpha1.DataList
	if err := c.List(ctx, &list, client.InNamespace(d.Namespace), client.MatchingLabels{v1alpha1.LabelDataSet: d.Name}); err != nil {
		return Failing{}, fmt.Errorf("listing the Data of DataSet %s: %w", d.Name, err)
	}
	data := make([]*v1alpha1.Data, 0, len(list.Items))
	for i := range list.Items {
		data = append(data, &list.Items[i])
	}
	return CountFailing(d, data), nil
}

// CountFailing counts what failed of a DataSet with these Data.
func CountFailing(d *v1alpha1.DataSet, data []*v1alpha1.Data) Failing {
	var f Failing
	for _, x := range data {
		if !assignment.Failing(x) {
			continue
		}
		if n := len(assignment.FailedItems(x)); n > 0 {
			f.items += n
			f.pods++
		}
		if assignment.PrefetchFails(x) {
			f.prefetches++
		}
	}
	if p := d.Status.Preheat; p != nil {
		f.nodes = int(p.Failed)
	}
	return f
}

// Any reports whether there is something to try again.
func (f Failing) Any() bool { return f.pods+f.prefetches+f.nodes > 0 }

// Describe says what is tried now.
func (f Failing) Describe() string {
	var parts []string
	for _, p := range []struct {
		count int
		text  string
	}{
		{f.pods, fmt.Sprintf("%s try %s", plural.Count(f.pods, "pod"), plural.Count(f.items, "failed item"))},
		{f.prefetches, plural.Count(f.prefetches, "pod") + " try to download ahead"},
		{f.nodes, plural.Count(f.nodes, "node") + " are preheated again"},
	} {
		if p.count == 0 {
			continue
		}
		if p.count == 1 {
			p.text = strings.NewReplacer(" try ", " tries ", " are ", " is ").Replace(p.text)
		}
		parts = append(parts, p.text)
	}
	return strings.Join(parts, ", ") + " now"
}
