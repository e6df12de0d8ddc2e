// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"slices"
	"time"
)

// A request lags when it takes three times as long as is usual, and this much
// more: below that, a second one would hardly be done earlier.
const (
	lagFactor = 3
	lagGrace  = 250 * time.Millisecond
)

// usual is how long the last requests of a kind took.
type usual struct {
	last  [32]time.Duration
	count int
}

func (u *usual) addDuration(took time.Duration) {
	u.last[u.count%len(u.last)] = took
	u.count++
}

// medianDuration is 0 as long as nothing is known.
func (u *usual) medianDuration() time.Duration {
	known := slices.Clone(u.last[:min(u.count, len(u.last))])
	if len(known) == 0 {
		return 0
	}
	slices.Sort(known)
	return known[len(known)/2]
}

// isLagging reports whether a request of that age, of which so much is left, is to be
// made a second time. A request that is nearly done at its own pace is not.
func isLagging(age, median time.Duration, moved, left int64) bool {
	if median == 0 || left == 0 || age < lagFactor*median+lagGrace {
		return false
	}
	if moved == 0 {
		return true
	}
	rest := time.Duration(float64(age) * float64(left) / float64(moved))
	return rest > median/2
}

// isSilent reports whether a request of that age, of which nothing came, is to be made a
// second time, where usually is how long that takes; 0 if it is not known.
func isSilent(age, usually time.Duration) bool {
	return usually > 0 && age >= lagFactor*usually+lagGrace
}

// hedgeBudget is how many bytes may be asked for a second time in a delivery of
// so many: a twentieth, but one whole range in any case.
func hedgeBudget(total, rangeBytes int64) int64 { return max(total/20, rangeBytes) }
