//go:build integration

// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
)

// judge looks at what a killed process has left, while no other process touches it.
type judge struct {
	*server
	root string
	// compared are the files that were compared already and not written to
	// since, with what they were compared with: a gigabyte is not read anew
	// after each kill.
	compared map[inode]content
	read     int64
}

type inode struct {
	number   uint64
	modified time.Time
}

func newJudge(s *server, root string) *judge {
	return &judge{server: s, root: root, compared: map[inode]content{}}
}

// file compares a file with what it is to be.
func (j *judge) file(path string, want content) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is a %s", path, info.Mode())
	}
	id := inode{info.Sys().(*syscall.Stat_t).Ino, info.ModTime()}
	if j.compared[id] == want {
		return nil
	}
	if err := want.compare(path); err != nil {
		return err
	}
	j.compared[id] = want
	j.read += want.size
	return nil
}

// tree compares a directory with the tree at a version.
func (j *judge) tree(dir string, version int) error {
	for i := range j.files {
		if err := j.file(filepath.Join(dir, treeName(i)), j.treeFile(version, i)); err != nil {
			return err
		}
	}
	found := 0
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found++
		}
		return err
	})
	if err == nil && found != j.files {
		err = fmt.Errorf("%s has %d files instead of %d", dir, found, j.files)
	}
	return err
}

// snapshots compares every snapshot that is called complete, byte by byte, and
// its manifest with the files.
func (j *judge) snapshots(t *testing.T) {
	t.Helper()
	s, err := store.Open(store.Options{Root: j.root})
	if err != nil {
		t.Fatal(err)
	}
	broken, err := s.Unreadable()
	if err != nil || len(broken) > 0 {
		t.Fatalf("snapshots without a manifest: %v, %v", broken, err)
	}
	snapshots, err := s.Snapshots()
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range snapshots {
		version, err := strconv.Atoi(found.Key.Version)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(j.root, "snapshots", string(found.ID), "data")
		if found.Key.Path == "large" {
			err = j.file(filepath.Join(dir, snapshot.FileName), j.largeFile(version))
		} else {
			err = j.tree(dir, version)
		}
		if err != nil {
			t.Fatalf("the complete snapshot %s of %s: %v", found.ID, found.Key.Path, err)
		}
		if err := s.Examine(t.Context(), found.ID, false); err != nil {
			t.Fatalf("the complete snapshot %s: %v", found.ID, err)
		}
	}
}

// view finds out which version the application sees, 0 for none: both items
// whole and of the same version, by either way to them.
func (j *judge) view(t *testing.T) int {
	t.Helper()
	control := filepath.Join(viewDir(j.root), ".kuda", dataset)
	if _, err := os.Stat(control); errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	tree, err := os.Readlink(control)
	if err != nil {
		t.Fatal(err)
	}
	meta, err := os.ReadFile(filepath.Join(viewDir(j.root), ".kuda", tree+".json"))
	if err != nil {
		t.Fatalf("the current tree is not complete: %v", err)
	}
	_, rest, _ := strings.Cut(string(meta), "\"revision\":\"")
	text, _, _ := strings.Cut(rest, "\"")
	version, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("the current tree's revision: %s", meta)
	}
	for _, base := range []string{control, viewDir(j.root)} {
		if err := j.both(base, version); err != nil {
			t.Fatalf("the view at version %d: %v", version, err)
		}
	}
	return version
}

// both compares both items below a directory, where they may be links.
func (j *judge) both(base string, version int) error {
	large, err := filepath.EvalSymlinks(filepath.Join(base, "large"))
	if err != nil {
		return err
	}
	tree, err := filepath.EvalSymlinks(filepath.Join(base, "tree"))
	if err != nil {
		return err
	}
	return errors.Join(j.file(large, j.largeFile(version)), j.tree(tree, version))
}

// onDisk is how many bytes of a download of the large file are on the disk,
// recorded or not: those that are as they are to be, to a piece of 16 KiB.
func (j *judge) onDisk(t *testing.T, version int) (bytes int64) {
	t.Helper()
	k := key("large", version)
	f, err := os.Open(filepath.Join(j.root, "snapshots", string(k.ID())+".partial", "data", snapshot.FileName))
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	bytes, err = j.largeFile(version).matching(f)
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

// staged is how many bytes of a download the next writer can use, 0 where there
// is no download.
func (j *judge) staged(t *testing.T, k snapshot.Key) (bytes int64) {
	t.Helper()
	s, err := store.Open(store.Options{Root: j.root})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(j.root, "snapshots", string(k.ID())+".partial")); err != nil {
		return 0
	}
	_, w, err := s.Acquire(t.Context(), k, func() { t.Error("a dead process holds a lock") })
	if err != nil || w == nil {
		t.Fatalf("looking at a download: %v", err)
	}
	for _, name := range w.StagedPaths() {
		staged := w.Staged(name)
		if staged.Entry != nil {
			bytes += staged.Size
			continue
		}
		for block := range staged.Blocks {
			bytes += min(digest.BlockSize, staged.Size-int64(block)*digest.BlockSize)
		}
		for _, prefix := range staged.Prefixes {
			bytes += prefix.Bytes
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes
}

// leftovers lists what is neither a snapshot nor a part of the view.
func (j *judge) leftovers(t *testing.T) (list []string) {
	t.Helper()
	err := filepath.WalkDir(j.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(j.root, path)
		dir, name := filepath.Split(rel)
		inData := strings.Contains(rel, "/data/") || strings.Contains(rel, "/.rev/")
		switch {
		case inData:
		case strings.Contains(name, ".partial"), strings.Contains(name, ".tmp"), name == "journal", name == "reserved",
			dir == "trash/", strings.HasSuffix(dir, ".kuda/.old/") && name != ".kuda":
			list = append(list, rel)
		case dir == "locks/" && strings.Contains(name, "."):
			id, _, _ := strings.Cut(name, ".")
			if _, err := os.Stat(filepath.Join(j.root, "snapshots", id)); err != nil {
				list = append(list, rel)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}
