// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import "testing"

// FuzzHistory plays histories that the fuzzer chooses.
func FuzzHistory(f *testing.F) {
	for _, seed := range []uint64{58, 667, 748, 980, 2196} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { play(t, newWorld(seed), seed) })
}
