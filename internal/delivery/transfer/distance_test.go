// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/source/sourcetest"
)

// Each shape of a delivery from each odd server, with a distance between.
func TestAServerThatIsFarAwayGivesTheRightBytes(t *testing.T) {
	for _, d := range oddDrivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			b := newOddBench(t, d)
			distance := sourcetest.NewDistance(sourcetest.Profile{FirstByte: 30 * time.Millisecond, PerConnection: 85e6})
			var err error
			if b.source, err = d.open("http://" + distance.Front(t, strings.TrimPrefix(b.URL, "http://"))); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = b.source.Close() })
			b.put("a/large", noise(1, 10<<20))
			for i := range 50 {
				b.put(fmt.Sprint("small/", i), noise(uint32(i), 1000))
			}
			result, err := b.deliver(t, "tree/", "1")
			b.right(t, result, err)
			if distance.Requests() < 50 {
				t.Errorf("only %d requests went the long way", distance.Requests())
			}
			first := distance.Requests()
			b.put("small/1", noise(99, 1000))
			result, err = b.deliver(t, "tree/", "2")
			b.right(t, result, err)
			// Of a file that is here, an index of HTTP still needs a look.
			if more := distance.Requests() - first; more > first*2/3 {
				t.Errorf("a version with one change took %d requests, and the first one %d", more, first)
			}
		})
	}
}
