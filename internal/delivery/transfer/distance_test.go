// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"fmt"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/source/sourcetest/distance"
	"github.com/kuda-io/kuda/internal/source/sourcetest/odd"
)

// far are the distances of the table below. Few requests are made in it, so that
// a larger part of them is lost.
func far() map[string]distance.Profile {
	lossy := distance.Lossy
	lossy.CutEvery, lossy.StallEvery, lossy.Stall, lossy.RefuseEvery = 3, 5, 500*time.Millisecond, 0
	return map[string]distance.Profile{"near": distance.Near, "region": distance.Region, "far": distance.Far, "lossy": lossy}
}

// Each shape of a delivery from each server, with each distance between.
func TestAServerThatIsFarAwayGivesTheRightBytes(t *testing.T) {
	for name, profile := range far() {
		for _, d := range oddDrivers {
			for shape, deliver := range oddShapes {
				t.Run(name+"/"+d.name+"/"+shape, func(t *testing.T) {
					t.Parallel()
					b := newOddBench(t, d)
					away := b.far(t, profile)
					b.attempts = 10
					b.engine.policy.Attempts = b.attempts
					result, err := deliver(t, b, odd.Faults{})
					b.right(t, result, err)
					if profile.CutEvery > 0 && away.Cuts() == 0 {
						t.Errorf("none of %d answers was cut", away.Requests())
					}
				})
			}
		}
	}
}

// A version of which little is new is not asked for as a whole.
func TestAServerThatIsFarAwayIsAskedForWhatIsNew(t *testing.T) {
	for _, d := range oddDrivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			b := newOddBench(t, d)
			away := b.far(t, distance.Region)
			b.put("a/large", noise(1, 10<<20))
			for i := range 50 {
				b.put(fmt.Sprint("small/", i), noise(uint32(i), 1000))
			}
			result, err := b.deliver(t, "tree/", "1")
			b.right(t, result, err)
			if away.Requests() < 50 {
				t.Errorf("only %d requests went the long way", away.Requests())
			}
			first := away.Requests()
			b.put("small/1", noise(99, 1000))
			result, err = b.deliver(t, "tree/", "2")
			b.right(t, result, err)
			// Of a file that is here, an index of HTTP still needs a look.
			if more := away.Requests() - first; more > first*2/3 {
				t.Errorf("a version with one change took %d requests, and the first one %d", more, first)
			}
		})
	}
}
