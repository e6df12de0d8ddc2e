// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fieldindex names the fields by which Data are found in the manager's cache.
package fieldindex

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// Fields of Data, each within a namespace.
const (
	// DataSet is the name of the DataSet that the Data's pod is a replica of.
	DataSet = "kuda.dataset"
	// Preheat is the name of the DataSet that the Data's pod preheats for.
	Preheat = "kuda.preheat"
	// PodUID is the UID of the pod.
	PodUID = "kuda.podUID"
)

// Functions are the functions behind the fields.
func Functions() map[string]client.IndexerFunc {
	return map[string]client.IndexerFunc{
		DataSet: replicaIndex,
		Preheat: byLabel(v1alpha1.LabelPreheat),
		PodUID:  byLabel(v1alpha1.LabelPodUID),
	}
}

// Add makes the fields known to a cache. It must run before the cache starts.
func Add(ctx context.Context, indexer client.FieldIndexer) error {
	for field, value := range Functions() {
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
