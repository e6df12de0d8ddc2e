// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// change is how much two statuses differ, which decides how long a write may wait.
type change int

const (
	// nothing differs.
	nothing change = iota
	// bytes differ, and what is computed from them.
	bytes
	// some items moved on, without a consequence for the pod as a whole.
	items
	// the pod as a whole: its condition, its revision, a failure; and where a
	// prefetch has come to.
	whole
)

// compareStatus returns the gravest difference.
func compareStatus(before, after *v1alpha1.DataStatus) change {
	if equality.Semantic.DeepEqual(before, after) {
		return nothing
	}
	if before.DataItems != after.DataItems || before.Failed != after.Failed ||
		before.NodeName != after.NodeName ||
		before.ObservedRevision != after.ObservedRevision || before.CurrentRevision != after.CurrentRevision ||
		prefetchChanged(before.Prefetch, after.Prefetch) || !equality.Semantic.DeepEqual(relevantConditions(before), relevantConditions(after)) {
		return whole
	}
	a, b := before.DeepCopy(), after.DeepCopy()
	for _, s := range []*v1alpha1.DataStatus{a, b} {
		s.Progress, s.Conditions, s.Prefetch = "", nil, nil
		for i := range s.DataItemsStatus {
			item := &s.DataItemsStatus[i]
			item.Bytes, item.TotalBytes = 0, 0
			if item.CacheFill != nil {
				item.CacheFill.HeldBytes, item.CacheFill.TotalBytes = 0, 0
			}
			if item.Phase == v1alpha1.DataDownloading || item.Phase == v1alpha1.DataWaiting {
				item.Message = ""
			}
		}
	}
	if equality.Semantic.DeepEqual(a, b) {
		return bytes
	}
	return items
}

// relevantConditions returns the conditions as far as they matter for the pod as a whole:
// what an item says on its way, and not of a failure, does not.
func relevantConditions(s *v1alpha1.DataStatus) []metav1.Condition {
	conditions := slices.Clone(s.Conditions)
	for i := range conditions {
		if s.Failed == 0 && conditions[i].Status == metav1.ConditionFalse {
			conditions[i].Message = ""
		}
	}
	return conditions
}

// writeInterval is the time between two writes of the same Data.
func (c change) writeInterval() time.Duration {
	switch c {
	case whole:
		return 0
	case items:
		return time.Second
	default:
		return 5 * time.Second
	}
}
