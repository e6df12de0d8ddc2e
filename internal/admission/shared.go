// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// maxSharedWarnings is how many other DataSets a warning names.
const maxSharedWarnings = 3

// warnShared tells of other DataSets that may select the same pods and have items in
// the same places. Only pods that both select are concerned, and such pods need not
// exist, so it is no error.
func (d *DataSets) warnShared(ctx context.Context, namespace string, next *v1alpha1.DataSet) []string {
	if d.Cache == nil {
		return nil
	}
	var all v1alpha1.DataSetList
	// Nothing here changes a DataSet, so the cache's own objects will do.
	if err := d.Cache.List(ctx, &all, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		d.Log.V(1).Info("compared a DataSet with no others", "namespace", namespace, "error", err.Error())
		return nil
	}
	slices.SortFunc(all.Items, func(a, b v1alpha1.DataSet) int { return strings.Compare(a.Name, b.Name) })
	var warnings []string
	for i := range all.Items {
		other := &all.Items[i]
		if other.Name == next.Name || other.DeletionTimestamp != nil || len(warnings) == maxSharedWarnings ||
			!selectorsOverlap(other.Spec.WorkloadSelector, next.Spec.WorkloadSelector) {
			continue
		}
		if mine, theirs, ok := samePlace(next.Spec.Template.DataItems, other.Spec.Template.DataItems); ok {
			warnings = append(warnings, fmt.Sprintf("spec.template.dataItems[%d].localPath: %s is the place of %s of DataSet %s, which may "+
				"select the same pods: "+
				"in pods of both, the DataSet that was created first has it and the other one fails; give one of them another localPath",
				mine, next.Spec.Template.DataItems[mine].LocalPath, other.Spec.Template.DataItems[theirs].LocalPath, other.Name))
		}
	}
	return warnings
}

// selectorsOverlap reports whether a pod can have the labels of both selectors.
func selectorsOverlap(a, b map[string]string) bool {
	for key, value := range a {
		if other, ok := b[key]; ok && other != value {
			return false
		}
	}
	return true
}

// samePlace finds an item of each of which one is at, or inside, the other's place.
func samePlace(a, b []v1alpha1.DataItem) (i, j int, found bool) {
	places := make(map[string]int, len(b))
	above := make(map[string]int, len(b))
	for j := range b {
		p := cleanLocal(b[j].LocalPath)
		places[p] = j
		for at := parentPath(p); at != ""; at = parentPath(at) {
			above[at] = j
		}
	}
	for i := range a {
		p := cleanLocal(a[i].LocalPath)
		if j, ok := above[p]; ok {
			return i, j, true
		}
		for at := p; at != ""; at = parentPath(at) {
			if j, ok := places[at]; ok {
				return i, j, true
			}
		}
	}
	return 0, 0, false
}

func parentPath(p string) string {
	at := strings.LastIndexByte(p, '/')
	if at < 0 {
		return ""
	}
	return p[:at]
}
