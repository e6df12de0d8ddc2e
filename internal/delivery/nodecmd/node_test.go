// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package nodecmd

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	gone  = "6f0b1c52-4d0f-4c8e-9d55-0f4a2b7f1c11"
	later = "0b6f1e0c-6c8f-4f0e-a2f9-d1d5f6b7a8c9"
)

// stores makes a base with the files of these paths.
func stores(t *testing.T, paths ...string) string {
	t.Helper()
	base := t.TempDir()
	for _, p := range paths {
		at := filepath.Join(base, p)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(p), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return base
}

// files lists what is left below a directory, directories without anything in them too.
func files(t *testing.T, base string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		entries, _ := os.ReadDir(path)
		if rel, _ := filepath.Rel(base, path); !d.IsDir() || len(entries) == 0 && rel != "." {
			found = append(found, rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func run(base string, args ...string) error {
	cmd := New()
	cmd.SetOut(&bytes.Buffer{})
	cmd.SetArgs(append(args, "--base", base))
	return cmd.Execute()
}

func TestOnlyWhatIsNamedIsRemoved(t *testing.T) {
	all := []string{
		"other/" + gone + "/snapshots/a",
		"shop/" + later + "/snapshots/c", "shop/" + gone + "/pods/u/lock", "shop/" + gone + "/snapshots/b",
		"shop/pods/v/lock", "shop/snapshots/d",
	}
	for name, c := range map[string]struct {
		args []string
		left []string
	}{
		"by UID":        {[]string{"shop", "--uid", gone}, []string{all[0], all[1], all[4], all[5]}},
		"the name too":  {[]string{"shop", "--uid", gone, "--name-is-gone"}, []string{all[0], all[1]}},
		"without a UID": {[]string{"shop", "--name-is-gone"}, []string{all[0], all[1], all[2], all[3]}},
		"nothing there": {[]string{"theirs", "--uid", gone, "--name-is-gone"}, all},
	} {
		base := stores(t, all...)
		if err := run(base, append([]string{"remove"}, c.args...)...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := files(t, base); !slices.Equal(got, c.left) {
			t.Errorf("%s: left are %q, want %q", name, got, c.left)
		}
	}
	base := stores(t, all[2:4]...)
	if err := run(base, "remove", "shop", "--uid", gone, "--name-is-gone"); err != nil || len(files(t, base)) != 0 {
		t.Errorf("of the last store %q is left, %v", files(t, base), err)
	}
	if _, err := os.Stat(filepath.Join(base, "shop")); err == nil {
		t.Error("the directory of the name is left")
	}
}

func TestAStoreInUseIsLeft(t *testing.T) {
	for _, at := range []string{"shop/" + gone, "shop"} {
		base := stores(t, at+"/pods/u/lock", at+"/snapshots/a")
		f, err := os.Open(filepath.Join(base, at, "pods/u/lock"))
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		if err := run(base, "remove", "shop", "--uid", gone, "--name-is-gone"); err == nil || !strings.Contains(err.Error(), "pod u") ||
			len(files(t, base)) != 2 {
			t.Errorf("%s: left is %q, %v", at, files(t, base), err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if err := run(base, "remove", "shop", "--uid", gone, "--name-is-gone"); err != nil || len(files(t, base)) != 0 {
			t.Errorf("%s: once it is free %q is left, %v", at, files(t, base), err)
		}
	}
}

// TestNoLinkIsFollowed has links where the directories of the name, of the UID, of
// the pods and of a lock would be.
func TestNoLinkIsFollowed(t *testing.T) {
	outside := stores(t, "precious", "pods/u/lock")
	for name, link := range map[string]struct{ at, to string }{
		"the name":      {"shop", "other"},
		"the UID":       {"shop/" + gone, "../other/" + later},
		"a sibling":     {"shop/" + gone, later},
		"outside":       {"shop/" + gone, outside},
		"the snapshots": {"shop/" + gone + "/snapshots", outside},
		"the pods":      {"shop/" + gone + "/pods", outside},
		"a lock":        {"shop/" + gone + "/pods/u/lock", filepath.Join(outside, "precious")},
	} {
		base := stores(t, "other/"+later+"/a", "other/b", "kept/"+later+"/c")
		at := filepath.Join(base, link.at)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(link.to, at); err != nil {
			t.Fatal(err)
		}
		if err := run(base, "remove", "shop", "--uid", gone, "--name-is-gone"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := files(t, base); !slices.Contains(got, "other/"+later+"/a") || !slices.Contains(got, "other/b") ||
			!slices.Contains(got, "kept/"+later+"/c") {
			t.Errorf("%s: left is %q", name, got)
		}
		if got := files(t, outside); len(got) != 2 {
			t.Errorf("%s: outside, left is %q", name, got)
		}
	}
}

func TestTheDirectoriesAreClosed(t *testing.T) {
	base := stores(t, "shop/"+gone+"/a", "other/b", "file", "@node/c")
	outside := t.TempDir()
	for _, dir := range []string{base, outside, base + "/@node"} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(base, "link")); err != nil {
		t.Fatal(err)
	}
	if err := run(base, "close"); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{base: 0o700, base + "/shop": 0o700, base + "/other": 0o700,
		base + "/file": 0o644, outside: 0o755, base + "/@node": 0o755} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

func TestArgumentsThatNameNoNamespaceAreRefused(t *testing.T) {
	base := stores(t, "shop/"+gone+"/a", "shop/snapshots/b")
	for _, args := range [][]string{
		{"shop"}, {"..", "--name-is-gone"}, {"shop/" + gone, "--name-is-gone"}, {".", "--name-is-gone"}, {"", "--name-is-gone"},
		{"Shop", "--name-is-gone"},
		{"shop", "--uid", "snapshots"}, {"shop", "--uid", ".."}, {"shop", "--uid", "../shop"}, {"shop", "--uid", strings.ToUpper(gone)},
	} {
		if err := run(base, append([]string{"remove"}, args...)...); err == nil || len(files(t, base)) != 2 {
			t.Errorf("%q: %v, left is %q", args, err, files(t, base))
		}
	}
}
