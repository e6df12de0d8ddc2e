// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package fetchcmd

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/atomicfile"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/filelock"
)

// target is the directory that a fetch makes or replaces.
type target struct {
	dir   string
	store string
	// kept tells that the store is the user's, with everything in it.
	kept bool
	// note is the file that says which directories of that name are ours.
	note string
	// say is told what the user should know; it may be nil.
	say func(string)
}

// newTarget finds out where things go, and fails early when dir is not ours.
func newTarget(dir, store string) (*target, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	t := &target{dir: dir, store: store, kept: store != ""}
	if !t.kept {
		t.store = filepath.Join(filepath.Dir(dir), "."+filepath.Base(dir)+".kuda")
	}
	if workingDirWithin(dir) {
		return nil, usageErrorf("%s is the directory that this runs in, or one above it: it would be replaced under it; name it from "+
			"elsewhere, or a directory in it", dir)
	}
	t.note = t.findNote()
	_, err = t.canReplace()
	return t, err
}

// findNote returns the file of the note. A store beside the directory is the store of
// that directory alone, at whatever path a container has mounted the volume of both;
// v0.1.0 named its note by the whole path there too.
func (t *target) findNote() string {
	named := func(name string) string {
		return filepath.Join(t.store, fmt.Sprintf("published-%x", sha256.Sum256([]byte(name))))
	}
	whole := named(t.dir)
	if t.kept {
		return whole
	}
	if _, err := os.Lstat(whole); err == nil {
		return whole
	}
	return named(filepath.Base(t.dir))
}

// workingDirWithin reports whether the process works in a directory, or below it.
func workingDirWithin(dir string) bool {
	at, err := os.Getwd()
	if err != nil {
		return false // it was deleted: nothing can be below dir
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	if real, err := filepath.EvalSymlinks(at); err == nil {
		at = real
	}
	return at == dir || strings.HasPrefix(at, strings.TrimRight(dir, "/")+"/")
}

// storeOptions are those of the store. In one of our own, what an earlier fetch left
// half done is of no use once another one has succeeded.
func (t *target) storeOptions() store.Options {
	o := store.Options{Root: t.store}
	if !t.kept {
		o.PartialTTL = time.Nanosecond
	}
	return o
}

// lockDirectory keeps a second fetch into the same directory out while this process lives.
func (t *target) lockDirectory() (*os.File, error) {
	if err := os.MkdirAll(t.store, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(t.note+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := filelock.Lock(f, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, filelock.ErrHeld) {
			return nil, fmt.Errorf("another fetch into %s is running", t.dir)
		}
		return nil, err
	}
	return f, nil
}

// canReplace reports whether there is a directory to replace; an error if there
// is something else.
func (t *target) canReplace() (bool, error) {
	info, err := os.Lstat(t.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if info.IsDir() {
		mine, err := t.isOurs()
		if err != nil {
			return false, err
		}
		if mine {
			return true, nil
		}
		if entries, err := os.ReadDir(t.dir); err == nil && len(entries) == 0 {
			return true, nil
		}
	}
	return false, usageErrorf("%s exists and was not made by fetch; remove it, or name another directory", t.dir)
}

// stagingInfix marks the names of trees that are being built.
const stagingInfix = "-building-"

// buildTree makes a new tree of hard links to the files of a snapshot, which may
// still be on their way to the disk; what earlier fetches left of theirs goes.
func (t *target) buildTree(from string, m *snapshot.Manifest, remotePath string) (staging string, err error) {
	prefix := t.note + stagingInfix
	left, err := filepath.Glob(prefix + "*")
	if err != nil {
		return "", err
	}
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			return "", err
		}
	}
	staging = prefix + rand.Text()
	if err := linkTree(staging, from, m, remotePath); err != nil {
		return "", errors.Join(err, os.RemoveAll(staging))
	}
	return staging, nil
}

// publishTree puts a tree that was built at dir in one step. A crash leaves the old
// tree or the new one. What was at dir is at staging then.
func (t *target) publishTree(staging string) error {
	exists, err := t.canReplace()
	if err != nil {
		return err
	}
	one, err := birthOf(staging)
	if err != nil {
		return err
	}
	if err := t.recordBirths(append(t.readBirths(), one)...); err != nil {
		return err
	}
	moment, err := placeTree(staging, t.dir, exists)
	if err != nil {
		if errors.Is(err, unix.EXDEV) {
			return usageErrorf("--store %s is on another file system than %s", t.store, t.dir)
		}
		return err
	}
	if moment && t.say != nil {
		t.say("the file system of " + t.dir + " cannot exchange two directories: for a moment there was no directory of that name")
	}
	if err := atomicfile.SyncDir(filepath.Dir(t.dir)); err != nil {
		return err
	}
	if one, err = birthOf(t.dir); err != nil {
		return err
	}
	return t.recordBirths(one)
}

// placeTree puts a tree at dir, and what is at dir, if something is, in its place.
// It reports whether there was a moment without dir.
func placeTree(staging, dir string, exists bool) (moment bool, err error) {
	if !exists {
		return false, os.Rename(staging, dir)
	}
	return atomicfile.Exchange(unix.AT_FDCWD, staging, unix.AT_FDCWD, dir)
}

// deleteOldSnapshots deletes what older fetches left in a store of our own.
func (t *target) deleteOldSnapshots(s *store.Store, current snapshot.ID) error {
	if !t.kept {
		snapshots, err := s.Snapshots()
		if err != nil {
			return err
		}
		for _, snapshot := range snapshots {
			if snapshot.ID != current {
				if _, err := s.Evict(snapshot.ID); err != nil {
					return err
				}
			}
		}
	}
	return s.Collect()
}
