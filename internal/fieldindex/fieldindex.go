// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fieldindex names the fields by which objects are found in the manager's cache
// without a look at all of their namespace.
package fieldindex

import (
	"context"
	"fmt"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
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

// Preheating is a field of DataSets within a namespace: those that preheat have Yes.
const (
	Preheating = "kuda.preheating"
	Yes        = "yes"
)

// Label is a field of pods within a namespace: each of their labels, as LabelValue
// writes it.
const Label = "kuda.label"

// RevisionOf is a field of ControllerRevisions within a namespace: the name of the DataSet.
const RevisionOf = "kuda.revisionOf"

// Index is a field of one kind of objects, and the function behind it.
type Index struct {
	Object client.Object
	Field  string
	Values client.IndexerFunc
}

// Indexes are all fields.
func Indexes() []Index {
	return []Index{
		{&v1alpha1.Data{}, DataSet, replicaIndex},
		{&v1alpha1.Data{}, Preheat, byLabel(v1alpha1.LabelPreheat)},
		{&v1alpha1.Data{}, PodUID, byLabel(v1alpha1.LabelPodUID)},
		{&v1alpha1.DataSet{}, Preheating, preheatingIndex},
		{&corev1.Pod{}, Label, labelIndex},
		{&appsv1.ControllerRevision{}, RevisionOf, byLabel(v1alpha1.LabelDataSet)},
	}
}

// Add makes the fields known to a cache. It must run before the cache starts.
func Add(ctx context.Context, indexer client.FieldIndexer) error {
	for _, i := range Indexes() {
		if err := indexer.IndexField(ctx, i.Object, i.Field, i.Values); err != nil {
			return fmt.Errorf("indexing %T by %s: %w", i.Object, i.Field, err)
		}
	}
	return nil
}

// SelectPods returns the options that list the pods with all these labels: of all pods of
// a namespace, only those with one of the labels are looked at. That is the one with the
// longest value: such a value tells more apart than "true" or "v1" does.
func SelectPods(selector map[string]string) []client.ListOption {
	options := []client.ListOption{client.MatchingLabels(selector)}
	best := ""
	for _, key := range slices.Sorted(maps.Keys(selector)) {
		if best == "" || len(selector[key]) > len(selector[best]) {
			best = key
		}
	}
	if best == "" {
		return options
	}
	return append(options, client.MatchingFields{Label: LabelValue(best, selector[best])})
}

// LabelValue returns the value of the field Label for a label.
func LabelValue(key, value string) string { return key + "=" + value }

func labelIndex(object client.Object) []string {
	labels := object.GetLabels()
	values := make([]string, 0, len(labels))
	for key, value := range labels {
		values = append(values, LabelValue(key, value))
	}
	return values
}

func preheatingIndex(object client.Object) []string {
	if d, ok := object.(*v1alpha1.DataSet); ok && d.Spec.Preheat != nil {
		return []string{Yes}
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
