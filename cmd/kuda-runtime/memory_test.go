// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFilesAreLimitedByTheContainersMemory(t *testing.T) {
	for text, want := range map[string]int{"max\n": 0, "": 0, "0\n": 0, "268435456\n": 174762} {
		path := filepath.Join(t.TempDir(), "memory.max")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := maxFiles(path); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
	if got := maxFiles("/no/such/file"); got != 0 {
		t.Errorf("without a limit: %d", got)
	}
}
