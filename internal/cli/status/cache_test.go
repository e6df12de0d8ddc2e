// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"math"
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

func TestFiguresOfARuntimeThatLiesAreShownToo(t *testing.T) {
	for want, use := range map[string]*v1alpha1.CacheUse{
		", 50% from the cache":  {ServedBytes: math.MaxInt64, SourceBytes: math.MaxInt64, RejectedBytes: 2}, // the sum is 0
		", 100% from the cache": {ServedBytes: math.MaxInt64},
		"":                      {ServedBytes: -1},
	} {
		if got := cacheShare(use); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
