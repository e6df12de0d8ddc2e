// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func TestTheConditionNamesTheFirstPodWhoseCacheDidNotServe(t *testing.T) {
	b := newBench(t, models(), web("a", true), web("b", true), web("c", true))
	b.pass()
	b.play(true)
	b.pass()
	if c := meta.FindStatusCondition(b.set().Status.Conditions, v1alpha1.ConditionCacheDegraded); c != nil {
		t.Errorf("no source has a cache: %+v", c)
	}
	tell := func(status metav1.ConditionStatus, reason string, pods ...string) {
		t.Helper()
		datas := b.datas()
		for _, name := range pods {
			d := datas[name]
			meta.SetStatusCondition(&d.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionCacheDegraded, Status: status,
				Reason: reason, Message: "why"})
			b.updateStatus(d)
		}
		b.pass()
	}
	tell(metav1.ConditionFalse, v1alpha1.ReasonCacheServing, "a", "b", "c")
	if status, reason := b.reason(v1alpha1.ConditionCacheDegraded); status != metav1.ConditionFalse || reason != v1alpha1.ReasonCacheServing {
		t.Errorf("all served: %s %s", status, reason)
	}
	tell(metav1.ConditionTrue, v1alpha1.ReasonCacheStale, "b", "c")
	c := meta.FindStatusCondition(b.set().Status.Conditions, v1alpha1.ConditionCacheDegraded)
	if c == nil || c.Status != metav1.ConditionTrue || c.Reason != v1alpha1.ReasonCacheStale ||
		!strings.Contains(c.Message, "2 of 3 pods") || !strings.Contains(c.Message, "pod b: why") {
		t.Errorf("condition: %+v", c)
	}
	if status, _ := b.reason(v1alpha1.ConditionReady); status != metav1.ConditionTrue {
		t.Errorf("the data is there: %s", status)
	}
	tell(metav1.ConditionFalse, v1alpha1.ReasonCacheServing, "b", "c")
	if n := b.pass(); n != 0 {
		t.Errorf("another pass wrote %v", b.writes)
	}
}
