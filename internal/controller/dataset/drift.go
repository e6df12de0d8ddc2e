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

// driftCondition compares the digests that pods report for one revision: the
// API cannot see the source, but pods that fetched at different times did.
func driftCondition(datas []*v1alpha1.Data) metav1.Condition {
	sorted := slices.Clone(datas)
	slices.SortFunc(sorted, func(a, b *v1alpha1.Data) int { return strings.Compare(a.Name, b.Name) })

	type sighting struct{ digest, pod string }
	first := make(map[copyKey]sighting)
	for _, d := range sorted {
		if !assignment.Current(d) {
			continue
		}
		for i := range d.Status.DataItemsStatus {
			item := &d.Status.DataItemsStatus[i]
			kind, _, ok := strings.Cut(item.Digest, ":")
			if !ok || item.Phase != v1alpha1.DataSuccess {
				continue
			}
			key := copyKey{d.Spec.Revision, item.Namespace, item.Name, kind}
			seen, ok := first[key]
			if !ok {
				first[key] = sighting{item.Digest, d.Spec.PodName}
				continue
			}
			if seen.digest != item.Digest {
				return metav1.Condition{
					Type: v1alpha1.ConditionSourceDrifted, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonDigestsDiffer,
					Message: fmt.Sprintf("item %s/%s of revision %s: pod %s has %s, pod %s has %s; the source changed under version %s. "+
						"Publish changed data under a new version",
						item.Namespace, item.Name, d.Spec.Revision, seen.pod, seen.digest, d.Spec.PodName, item.Digest, item.Version),
				}
			}
		}
	}
	return metav1.Condition{
		Type: v1alpha1.ConditionSourceDrifted, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonInSync,
		Message: "pods of the same revision hold the same bytes",
	}
}
