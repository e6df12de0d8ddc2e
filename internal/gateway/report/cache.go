// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/sanitize"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// maxCacheMessage bounds the message of a cache, in bytes.
const maxCacheMessage = 500

// cacheUseOf is what a cache did for an item; nil where the source has none.
func cacheUseOf(u *gatewayv1alpha1.CacheUse) *v1alpha1.CacheUse {
	if u == nil {
		return nil
	}
	return &v1alpha1.CacheUse{
		ServedBytes:    sanitize.Count(u.GetServedBytes()),
		SourceBytes:    sanitize.Count(u.GetSourceBytes()),
		RejectedBytes:  sanitize.Count(u.GetRejectedBytes()),
		FallbackReason: sanitize.Word(u.GetFallbackReason()),
		Message:        sanitize.Text(u.GetMessage(), maxCacheMessage),
	}
}

// setCacheDegraded sets the condition CacheDegraded where an item has figures of a cache:
// by the first item for which it did not serve what it was to.
func setCacheDegraded(d *v1alpha1.Data, s *v1alpha1.DataStatus) {
	var c *metav1.Condition
	for i := range s.DataItemsStatus {
		item := &s.DataItemsStatus[i]
		if item.Cache == nil {
			continue
		}
		if c == nil {
			c = &metav1.Condition{
				Type: v1alpha1.ConditionCacheDegraded, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonCacheServing,
				ObservedGeneration: d.Generation, Message: "the caches served what they were to serve",
			}
		}
		if item.Cache.FallbackReason != "" {
			c.Status, c.Reason = metav1.ConditionTrue, item.Cache.FallbackReason
			c.Message = fmt.Sprintf("of item %s/%s, %d bytes came from the cache and %d from the source: %s", item.Namespace, item.Name,
				item.Cache.ServedBytes, item.Cache.SourceBytes, item.Cache.Message)
			break
		}
	}
	if c == nil || d.Spec.Withdraw {
		meta.RemoveStatusCondition(&s.Conditions, v1alpha1.ConditionCacheDegraded)
		return
	}
	meta.SetStatusCondition(&s.Conditions, *c)
}
