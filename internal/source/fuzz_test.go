// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// A name that CheckPath accepts is one file below its directory, wherever it is
// used: it is clean, it can be created, and it cannot fool who reads a log.
func FuzzAcceptedNamesAreFilesBelowTheirDirectory(f *testing.F) {
	for _, seed := range []string{"a/b", "../a", "a/../b", "/a", "a//b", "..", "a/.../b", "a\\..\\b", "a/./b", "C:\\x", "con", "a\x00b",
		"\u202egpj.exe", "a\nb", strings.Repeat("x", 256), strings.Repeat("a/", 40) + "b", "~/.ssh", "a/", "\xff"} {
		f.Add(seed)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, path string) {
		if ValidPath(path) != (CheckPath(path) == nil) {
			t.Fatalf("ValidPath and CheckPath differ about %q", path)
		}
		if !ValidPath(path) {
			return
		}
		if !filepath.IsLocal(path) || filepath.Clean(path) != path || strings.ContainsFunc(path, unicode.IsControl) &&
			!strings.ContainsFunc(path, c1) {
			t.Fatalf("%q was accepted", path)
		}
		full := filepath.Join(dir, path)
		if rel, err := filepath.Rel(dir, full); err != nil || rel != path {
			t.Fatalf("%q leads to %q, %v", path, rel, err)
		}
		if strings.Count(path, "/") > 16 {
			return // only slow
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		if err := root.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatalf("the directory of %q: %v", path, err)
		}
		if err := root.WriteFile(path, nil, 0o644); err != nil {
			t.Fatalf("%q cannot be written: %v", path, err)
		}
		first, _, _ := strings.Cut(path, "/")
		if err := root.RemoveAll(first); err != nil {
			t.Fatal(err)
		}
	})
}

// c1 reports whether a character is a control character above ASCII, which file
// systems take.
func c1(r rune) bool { return r >= 0x80 && r <= 0x9f }
