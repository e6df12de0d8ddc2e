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
	// FieldDataSet is the name of the DataSet that the Data's pod is a replica of.
	FieldDataSet = "kuda.dataset"
	// FieldPreheat is the name of the DataSet that the Data's pod preheats for.
	FieldPreheat = "kuda.preheat"
	// FieldPodUID is the UID of the pod.
	FieldPodUID = "kuda.podUID"
)

// Indexes are the functions behind the fields.
func Indexes() map[string]client.IndexerFunc {
	return map[string]client.IndexerFunc{
		FieldDataSet: replicaIndex,
		FieldPreheat: byLabel(v1alpha1.LabelPreheat),
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

// replicaIndex leaves out what preheats, whatever other labels it has.
func replicaIndex(object client.Object) []string {
	if object.GetLabels()[v1alpha1.LabelPreheat] != "" {
		return nil
	}
	return byLabel(v1alpha1.LabelDataSet)(object)
}
