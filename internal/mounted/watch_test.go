// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package mounted

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

// TestASwapByTheKubeletIsNoticed lays the directory out as the kubelet does: the
// key is a link through ..data, which is replaced by a rename.
func TestASwapByTheKubeletIsNoticed(t *testing.T) {
	dir := t.TempDir()
	version := func(name, content string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "key"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(name, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	version("..1", "old")
	if err := os.Symlink("..data/key", filepath.Join(dir, "key")); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := make(chan string, 64)
	ended := make(chan error, 1)
	go func() {
		ended <- Watch(ctx, dir, func() {
			content, err := os.ReadFile(filepath.Join(dir, "key"))
			if err != nil {
				t.Error(err)
			}
			seen <- string(content)
		})
	}()
	if got := <-seen; got != "old" {
		t.Fatalf("at first: got %q", got)
	}
	version("..2", "new")
	for got := range seen {
		if got == "new" {
			break
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAMissingDirectoryIsAnError(t *testing.T) {
	if err := Watch(t.Context(), filepath.Join(t.TempDir(), "missing"), func() {}); err == nil {
		t.Error("watching nothing succeeded")
	}
}
