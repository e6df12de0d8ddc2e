// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
	"testing/fstest"
)

func TestFilesAreLimitedByTheContainersMemory(t *testing.T) {
	for text, want := range map[string]int{"max\n": 0, "268435456\n": 262144} {
		root := fstest.MapFS{
			"proc/self/cgroup":         {Data: []byte("0::/\n")},
			"sys/fs/cgroup/memory.max": {Data: []byte(text)},
		}
		if got, _ := maxFiles(root); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
	if got, limit := maxFiles(fstest.MapFS{}); got != 0 || limit != 0 {
		t.Errorf("without a cgroup: %d", got)
	}
}
