// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"testing"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func TestTheShareOfTheCacheIsShownWithWhyItIsNotAll(t *testing.T) {
	for want, use := range map[string]*v1alpha1.CacheUse{
		"":                                    nil,
		", 100% from the cache":               {ServedBytes: 5},
		", 75% from the cache (CacheFailed)":  {ServedBytes: 3, SourceBytes: 1, FallbackReason: v1alpha1.ReasonCacheFailed},
		", 0% from the cache (CacheRejected)": {SourceBytes: 2, RejectedBytes: 2, FallbackReason: v1alpha1.ReasonCacheRejected},
	} {
		if got := cacheShare(use); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
