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

func TestTheLineOfCachesSaysWhatTheyHold(t *testing.T) {
	for want, c := range map[string]*v1alpha1.PreheatCacheStatus{
		"Ready, hold 2.0 GiB of 2.0 GiB": {Phase: v1alpha1.PreheatReady, Node: "a", HeldBytes: 2 << 30, TotalBytes: 2 << 30},
		"Downloading, hold 1.0 GiB of 2.0 GiB, filled from node a": {
			Phase: v1alpha1.PreheatDownloading, Node: "a", HeldBytes: 1 << 30, TotalBytes: 2 << 30},
		"Failed, hold 1.0 GiB of 2.0 GiB, filled from node a; CacheIncomplete: more room": {
			Phase: v1alpha1.PreheatFailed, Node: "a", HeldBytes: 1 << 30, TotalBytes: 2 << 30, Reason: "CacheIncomplete", Message: "more room"},
	} {
		if got := preheatCacheLine(c); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
