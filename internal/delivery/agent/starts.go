// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"time"
)

const (
	// youngStarts is how many starts in a row may die young before the next one
	// asks the gateway first: what is remembered may be what kills the runtime,
	// and then only something else to do heals it.
	youngStarts = 3
	// settledAfter is how long a runtime must live for its start to count as good:
	// longer than listing and the first bytes take.
	settledAfter = 2 * time.Minute
)

// settleStart forgets the starts once this one has lived long enough, or ends in
// order.
func (a *Agent) settleStart(ctx context.Context) {
	timer := time.NewTimer(settledAfter)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	if err := a.env.Dir.ForgetStarts(); err != nil {
		a.env.Log.Error(err, "the starts were not forgotten")
	}
}
