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

// maxHolders is how many hosts a fill names, and maxHost how long their names may be, as
// the API has it.
const (
	maxHolders = 32
	maxHost    = 253
)

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

// cacheFillOf is how far a cache is filled; nil where it is not to be.
func cacheFillOf(f *gatewayv1alpha1.CacheFill) *v1alpha1.CacheFill {
	if f == nil {
		return nil
	}
	c := &v1alpha1.CacheFill{
		HeldBytes:  sanitize.Count(f.GetHeldBytes()),
		TotalBytes: sanitize.Count(f.GetTotalBytes()),
		Done:       f.GetDone(),
		Reason:     sanitize.Word(f.GetReason()),
		Message:    sanitize.Text(f.GetMessage(), maxCacheMessage),
	}
	c.HeldBytes = min(c.HeldBytes, c.TotalBytes)
	for _, h := range f.GetHolders()[:min(len(f.GetHolders()), maxHolders)] {
		if host := sanitize.Text(h.GetHost(), maxHost); host != "" {
			c.Holders = append(c.Holders, v1alpha1.CacheHolder{Host: host, Bytes: sanitize.Count(h.GetBytes())})
		}
	}
	return c
}

// setCacheDegraded sets the condition CacheDegraded where an item has figures of a cache:
// by the first item for which it did not serve what it was to, or does not hold it.
func setCacheDegraded(d *v1alpha1.Data, s *v1alpha1.DataStatus) {
	var c *metav1.Condition
	for i := range s.DataItemsStatus {
		item := &s.DataItemsStatus[i]
		if item.Cache == nil && (item.CacheFill == nil || item.CacheFill.TotalBytes == 0) {
			continue
		}
		if c == nil {
			c = &metav1.Condition{
				Type: v1alpha1.ConditionCacheDegraded, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonCacheServing,
				ObservedGeneration: d.Generation, Message: "the caches served what they were to serve",
			}
		}
		if reason, message := cacheProblem(item); reason != "" {
			c.Status, c.Reason, c.Message = metav1.ConditionTrue, reason, message
			break
		}
	}
	if c == nil || d.Spec.Withdraw {
		meta.RemoveStatusCondition(&s.Conditions, v1alpha1.ConditionCacheDegraded)
		return
	}
	meta.SetStatusCondition(&s.Conditions, *c)
}

// cacheProblem says what a cache did not do for an item; an empty reason: nothing.
func cacheProblem(item *v1alpha1.DataItemStatus) (reason, message string) {
	if use := item.Cache; use != nil && use.FallbackReason != "" {
		return use.FallbackReason, fmt.Sprintf("of item %s/%s, %d bytes came from the cache and %d from the source: %s",
			item.Namespace, item.Name, use.ServedBytes, use.SourceBytes, use.Message)
	}
	if fill := item.CacheFill; fill != nil && fill.Done && fill.HeldBytes < fill.TotalBytes && fill.Reason != "" {
		return fill.Reason, fmt.Sprintf("of item %s/%s, the cache was filled with %d of %d bytes: %s",
			item.Namespace, item.Name, fill.HeldBytes, fill.TotalBytes, fill.Message)
	}
	return "", ""
}
