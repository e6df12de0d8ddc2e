// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
)

// copyKey is what must be the same bytes everywhere. Digests of different
// kinds say nothing about each other, so the kind is part of it.
type copyKey struct {
	revision, namespace, name, kind string
}

// sighting is the digest of an item in a pod.
type sighting struct {
	key     copyKey
	digest  string
	pod     string
	version string
}

// driftCondition compares the digests that pods report for one revision: the
// API cannot see the source, but pods that fetched at different times did.
func driftCondition(datas []*v1alpha1.Data) metav1.Condition {
	if !digestsDiffer(datas) {
		return metav1.Condition{
			Type: v1alpha1.ConditionSourceDrifted, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonInSync,
			Message: "pods of the same revision hold the same bytes",
		}
	}
	// In the order of their names, so that each pass names the same two pods.
	sorted := slices.SortedFunc(slices.Values(datas), func(a, b *v1alpha1.Data) int { return strings.Compare(a.Name, b.Name) })
	first, second := firstDifference(sorted)
	return metav1.Condition{
		Type: v1alpha1.ConditionSourceDrifted, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonDigestsDiffer,
		Message: fmt.Sprintf("item %s/%s of revision %s: pod %s has %s, pod %s has %s; the source changed under version %s. "+
			"Publish changed data under a new version",
			second.key.namespace, second.key.name, second.key.revision, first.pod, first.digest, second.pod, second.digest, second.version),
	}
}

// digestsDiffer reports whether two pods have different bytes of one item.
func digestsDiffer(datas []*v1alpha1.Data) bool {
	_, second := firstDifference(datas)
	return second != nil
}

// firstDifference returns the first two sightings of an item that differ; nil: there are none.
func firstDifference(datas []*v1alpha1.Data) (first, second *sighting) {
	seen := make(map[copyKey]sighting)
	for _, d := range datas {
		if !assignment.Current(d) {
			continue
		}
		for i := range d.Status.DataItemsStatus {
			item := &d.Status.DataItemsStatus[i]
			kind, _, ok := strings.Cut(item.Digest, ":")
			if !ok || item.Phase != v1alpha1.DataSuccess {
				continue
			}
			next := sighting{copyKey{d.Spec.Revision, item.Namespace, item.Name, kind}, item.Digest, d.Spec.PodName, item.Version}
			before, ok := seen[next.key]
			if !ok {
				seen[next.key] = next
			} else if before.digest != next.digest {
				return &before, &next
			}
		}
	}
	return nil, nil
}
