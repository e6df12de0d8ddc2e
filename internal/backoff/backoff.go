// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package backoff computes how long to wait before what failed is tried again, and
// waits. Whether it is tried again, and how much of the pause is random, is for
// the caller to decide. Controllers, drivers and the runtime use it.
package backoff

import (
	"context"
	"time"
)

// Doubled returns first, doubled so many times, and at most limit.
func Doubled(first, limit time.Duration, times int) time.Duration {
	wait := min(first, limit)
	for ; times > 0 && 0 < wait && wait < limit; times-- {
		if wait > limit/2 {
			return limit
		}
		wait *= 2
	}
	return wait
}

// Sleep waits until the time is over, or returns the cause of the end of ctx.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
