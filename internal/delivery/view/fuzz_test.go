// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever items ask for, nothing appears outside of the view or in Kuda's own
// corner of it, and what an item was given is what is read at its place.
func FuzzItemsStayInTheirPlaces(f *testing.F) {
	for _, seed := range [][4]string{
		{"conf", "a.conf", "", "model"}, {"/conf/x", "d/f", "f2", "conf/y"}, {"../x", "f", "", "y"}, {".kuda/ds", "f", "", "z"},
		{"a", "../../f", "", "b"}, {"a", "l", "../../../etc/passwd", "b"}, {"a/b", "l", "d/../f", "a"}, {"a", "l", "/etc/passwd", "a/b"},
		{"a//b", "f", "", "a/./b"}, {strings.Repeat("x", 256), "f", "", "y"}, {"a\x00", "f\x00", "t\x00", "b"}, {"...", "..f", "f..", "-rf"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, local, file, link, other string) {
		base := t.TempDir()
		snapshot := filepath.Join(base, "snapshot")
		item := Item{LocalPath: local, Mark: "m", Dir: snapshot, Files: []File{{Path: file, Link: link, Size: 1}}}
		if link == "" && checkRelative(file) == nil && !store(snapshot, file) {
			return // the file system does not take the name
		}
		if err := os.MkdirAll(snapshot, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(base, "single"), []byte("2"), 0o644); err != nil {
			t.Fatal(err)
		}
		v, err := Open(filepath.Join(base, "view"), Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = v.Close() }()
		items := []Item{item, {LocalPath: other, Mark: "n", Dir: base, Single: true, Files: []File{{Path: "single", Size: 1}}}}
		err = v.Prepare("ds", "r", items)
		if err == nil {
			err = v.Switch("ds", "r")
		}
		outside(t, base)
		if err != nil {
			return
		}
		at, cleanErr := cleanLocal(local)
		if cleanErr != nil {
			t.Fatalf("%q was accepted: %v", local, cleanErr)
		}
		if err := v.Check("ds", items); err != nil {
			t.Fatalf("%q, %q, %q: %v", local, file, other, err)
		}
		if link != "" {
			escapes(t, base, path.Join(at, file))
			return
		}
		if got, err := v.dir.root.ReadFile(path.Join(at, file)); err != nil || string(got) != "1" {
			t.Fatalf("%q, %q: the application reads %q, %v", local, file, got, err)
		}
	})
}

// store makes the file of a snapshot, and reports whether the file system can.
func store(dir, file string) bool {
	p := filepath.Join(dir, file)
	return os.MkdirAll(filepath.Dir(p), 0o755) == nil && os.WriteFile(p, []byte("1"), 0o644) == nil
}

// outside fails when something is beside the view.
func outside(t *testing.T, base string) {
	t.Helper()
	entries, err := os.ReadDir(base)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if n := e.Name(); n != "snapshot" && n != "single" && n != "view" {
			t.Fatalf("%q appeared beside the view", n)
		}
	}
}

// escapes fails when a path of the view leads out of it.
func escapes(t *testing.T, base, p string) {
	t.Helper()
	real, err := filepath.EvalSymlinks(filepath.Join(base, "view", p))
	if err != nil {
		return // it leads nowhere
	}
	view, err := filepath.EvalSymlinks(filepath.Join(base, "view"))
	if err != nil {
		t.Fatal(err)
	}
	if !isWithin(real, view) {
		t.Fatalf("%q leads to %q", p, real)
	}
}
