// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/shorten"
)

// setCaches sums up what pods say of the caches in front of the sources. It is a condition
// of its own: what a cache did not serve came from the source.
func setCaches(conditions *[]metav1.Condition, d *v1alpha1.DataSet, o *observation) {
	told, degraded := 0, 0
	c := metav1.Condition{
		Type: v1alpha1.ConditionCacheDegraded, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonCacheServing,
		ObservedGeneration: d.Generation, Message: "the caches in front of the sources served what they were to serve",
	}
	first := ""
	for _, x := range o.live {
		if x.data == nil || !assignment.Current(x.data) {
			continue
		}
		said := meta.FindStatusCondition(x.data.Status.Conditions, v1alpha1.ConditionCacheDegraded)
		if said == nil {
			continue
		}
		told++
		if said.Status != metav1.ConditionTrue {
			continue
		}
		if degraded++; degraded == 1 {
			c.Status, c.Reason = metav1.ConditionTrue, said.Reason
			first = fmt.Sprintf("pod %s: %s", x.pod.Name, said.Message)
		}
	}
	if told == 0 {
		meta.RemoveStatusCondition(conditions, v1alpha1.ConditionCacheDegraded)
		return
	}
	if degraded > 0 {
		c.Message = shorten.Text(fmt.Sprintf("%d of %d pods did not get all from a cache that was to come from it; %s", degraded, told, first),
			maxMessageLength)
	}
	meta.SetStatusCondition(conditions, c)
}

// cachesDiffer reports whether two states of a Data say another thing of the caches.
func cachesDiffer(before, after *v1alpha1.Data) bool {
	a := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionCacheDegraded)
	b := meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionCacheDegraded)
	if a == nil || b == nil {
		return a != b
	}
	return a.Status != b.Status || a.Reason != b.Reason
}
