// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build powercut

package crash

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// afterCut looks at what a cut left, and lets a process go on from there.
func afterCut(t *testing.T, text string) {
	var a after
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		t.Fatal(err)
	}
	// What is mounted here goes with the process.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if a.Reboot {
		id := filepath.Join(t.TempDir(), "boot_id")
		if err := os.WriteFile(id, []byte("5f1d1a57-0000-4000-8000-000000000001\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount(id, "/proc/sys/kernel/random/boot_id", "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
	}
	mount := filepath.Join(a.Dir, "left")
	if err := os.MkdirAll(mount, 0o700); err != nil {
		t.Fatal(err)
	}
	command(t, "mount", "-o", "loop", a.Image, mount)

	if a.Publish != "" {
		a.fetched(t, mount)
		return
	}
	s := newServer(t, data{large: 6 << 20, files: 60})
	s.url = a.URL
	j := newJudge(s, filepath.Join(mount, "store"))
	if err := os.MkdirAll(j.root, 0o755); err != nil {
		t.Fatal(err)
	}
	j.snapshots(t)
	version := j.view(t)
	t.Logf("left: the view at version %d, %d bytes of the next one", version, j.staged(t, key("large", version+1)))
	finish(t, j, version)
}

// fetched looks at a directory that was fetched into, and fetches again.
func (a after) fetched(t *testing.T, mount string) {
	t.Helper()
	dir := filepath.Join(mount, a.Publish)
	j := newJudge(newServer(t, data{large: 6 << 20, files: 60}), dir)
	version := 0
	if _, err := os.Stat(dir); err == nil {
		for version = a.Now; version > 0 && j.tree(dir, version) != nil; version-- {
			clear(j.compared)
		}
		if version == 0 {
			t.Fatalf("%s is of no version whole: %v", dir, j.tree(dir, a.Now))
		}
	}
	t.Logf("left: a directory of version %d, the source is at version %d", version, a.Now)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := (victim{URL: a.URL, Publish: dir}).fetch(); err != nil {
		t.Fatalf("fetching again: %v", err)
	}
	clear(j.compared)
	if err := j.tree(dir, a.Now); err != nil {
		t.Errorf("fetched again, and it is not version %d: %v", a.Now, err)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(dir), ".*", "snapshots", "*.partial"))
	if err != nil || len(left) > 0 {
		t.Errorf("at the end there is left: %v, %v", left, err)
	}
}
