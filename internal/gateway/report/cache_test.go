// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

func TestTheConditionSaysWhatACacheDidNotServe(t *testing.T) {
	for name, c := range map[string]struct {
		use    *gatewayv1alpha1.CacheUse
		status metav1.ConditionStatus
		reason string
		says   string
	}{
		"all from the cache": {&gatewayv1alpha1.CacheUse{ServedBytes: 9}, metav1.ConditionFalse, v1alpha1.ReasonCacheServing, "served"},
		"some from the source": {&gatewayv1alpha1.CacheUse{ServedBytes: 9, SourceBytes: 4, FallbackReason: "CacheFailed", Message: "no route"},
			metav1.ConditionTrue, v1alpha1.ReasonCacheFailed, "9 bytes came from the cache and 4 from the source: no route"},
		"a message that lies": {&gatewayv1alpha1.CacheUse{FallbackReason: "CacheStale", Message: strings.Repeat("a\x1b", 3000)},
			metav1.ConditionTrue, v1alpha1.ReasonCacheStale, "0 bytes"},
	} {
		item := newItemStatus("a", success)
		item.Cache = c.use
		s := Status(newData("a"), newRequest(item), "", now)
		got := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionCacheDegraded)
		if got == nil || got.Status != c.status || got.Reason != c.reason || !strings.Contains(got.Message, c.says) ||
			strings.Contains(got.Message, "\x1b") || len(got.Message) > 1024 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	s := Status(newData("a"), newRequest(newItemStatus("a", success)), "", now)
	if got := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionCacheDegraded); got != nil {
		t.Errorf("without a cache: %+v", got)
	}
}

func TestAReportSaysHowFarACacheIsFilled(t *testing.T) {
	item := newItemStatus("a", downloading)
	item.CacheFill = &gatewayv1alpha1.CacheFill{HeldBytes: 9, TotalBytes: 5}
	s := Status(newData("a"), newRequest(item), "", now)
	if got := s.DataItemsStatus[0].CacheFill; got == nil || got.HeldBytes != 5 || got.Done {
		t.Errorf("got %+v", got)
	}
	before := s.DeepCopy()
	before.DataItemsStatus[0].CacheFill.HeldBytes = 1
	if got := compareStatus(before, &s); got != bytes {
		t.Errorf("more bytes in the cache count as %d", got)
	}
	item.CacheFill = &gatewayv1alpha1.CacheFill{HeldBytes: 4, TotalBytes: 5, Done: true, Reason: "CacheIncomplete", Message: "more room\x1b"}
	s = Status(newData("a"), newRequest(item), "", now)
	got := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionCacheDegraded)
	if got == nil || got.Status != metav1.ConditionTrue || got.Reason != v1alpha1.ReasonCacheIncomplete ||
		!strings.Contains(got.Message, "4 of 5 bytes: more room") || strings.Contains(got.Message, "\x1b") {
		t.Errorf("got %+v", got)
	}
}
