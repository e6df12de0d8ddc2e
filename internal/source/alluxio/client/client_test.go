// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/internal/source/alluxio/wire"
)

func TestWorkersThatHoldABlockAreAskedFirst(t *testing.T) {
	live := []string{"a:1", "b:1", "c:1"}
	for id := range int64(50) {
		got := chooseWorkers(wire.Block{ID: id, Workers: []string{"c:1", "gone:1"}}, live)
		if len(got) != 3 || got[0] != "c:1" {
			t.Fatalf("block %d: %q", id, got)
		}
	}
}

func TestClientsAgreeWhichWorkerReadsAColdBlock(t *testing.T) {
	first := map[string]int{}
	for id := range int64(3000) {
		b := wire.Block{ID: id << 24}
		one := chooseWorkers(b, []string{"a:1", "b:1", "c:1"})
		other := chooseWorkers(b, []string{"c:1", "a:1", "b:1"})
		if diff := cmp.Diff(one, other); diff != "" {
			t.Fatalf("block %d: %s", id, diff)
		}
		first[one[0]]++
	}
	for _, worker := range []string{"a:1", "b:1", "c:1"} {
		if first[worker] < 500 {
			t.Errorf("the blocks are not spread: %s", fmt.Sprint(first))
		}
	}
}
