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
)

// failing is what another try may help, apart from the rollout as a whole.
type failing struct {
	// items failed in so many pods.
	items, pods int
	// prefetches are pods in which what is downloaded ahead failed, and nodes those
	// that could not be preheated.
	prefetches, nodes int
}

// findFailing counts what failed of a DataSet.
func findFailing(ctx context.Context, c client.Reader, d *v1alpha1.DataSet) (failing, error) {
	var f failing
	var datas v1alpha1.DataList
	if err := c.List(ctx, &datas, client.InNamespace(d.Namespace), client.MatchingLabels{v1alpha1.LabelDataSet: d.Name}); err != nil {
		return f, fmt.Errorf("listing the Data of DataSet %s: %w", d.Name, err)
	}
	for i := range datas.Items {
		data := &datas.Items[i]
		if !assignment.Failing(data) {
			continue
		}
		if n := len(assignment.FailedItems(data)); n > 0 {
			f.items += n
			f.pods++
		}
		if assignment.PrefetchFails(data) {
			f.prefetches++
		}
	}
	if p := d.Status.Preheat; p != nil {
		f.nodes = int(p.Failed)
	}
	return f, nil
}

func (f failing) any() bool { return f.pods+f.prefetches+f.nodes > 0 }

// describe says what is tried now.
func (f failing) describe() string {
	var parts []string
	for _, p := range []struct {
		count int
		text  string
	}{
		{f.pods, fmt.Sprintf("%s try %s", counted(f.pods, "pod"), counted(f.items, "failed item"))},
		{f.prefetches, counted(f.prefetches, "pod") + " try to download ahead"},
		{f.nodes, counted(f.nodes, "node") + " are preheated again"},
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

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
