// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package assignment

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// Fields by which Data are found in the cache; both within a namespace.
const (
	// FieldDataSet is the DataSet's name.
	FieldDataSet = "kuda.dataset"
	// FieldPodUID is the UID of the pod.
	FieldPodUID = "kuda.podUID"
)

// Indexes are the functions behind the fields.
func Indexes() map[string]client.IndexerFunc {
	return map[string]client.IndexerFunc{
		FieldDataSet: byLabel(v1alpha1.LabelDataSet),
		FieldPodUID:  byLabel(v1alpha1.LabelPodUID),
	}
}

// AddIndexes makes the fields known to a cache. It must run before the cache starts.
func AddIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	for field, value := range Indexes() {
		if err := indexer.IndexField(ctx, &v1alpha1.Data{}, field, value); err != nil {
			return fmt.Errorf("indexing Data by %s: %w", field, err)
		}
	}
	return nil
}

func byLabel(key string) client.IndexerFunc {
	return func(object client.Object) []string {
		if value := object.GetLabels()[key]; value != "" {
			return []string{value}
		}
		return nil
	}
}
