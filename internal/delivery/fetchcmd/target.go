// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package fetchcmd

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/atomicfile"
	"github.com/kuda-io/kuda/internal/delivery/store"
)

// target is the directory that a fetch makes or replaces.
type target struct {
	dir   string
	store string
	// kept tells that the store is the user's, with everything in it.
	kept bool
	// note is the file that says which directories of that name are ours.
	note string
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
	t.note = filepath.Join(t.store, fmt.Sprintf("published-%x", sha256.Sum256([]byte(dir))))
	_, err = t.replaceable()
	return t, err
}

// lock keeps a second fetch into the same directory out while this process lives.
func (t *target) lock() (*os.File, error) {
	if err := os.MkdirAll(t.store, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(t.note+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another fetch into %s is running", t.dir)
	}
	return f, nil
}

// replaceable tells whether there is a directory to replace; an error if there
// is something else.
func (t *target) replaceable() (bool, error) {
	info, err := os.Lstat(t.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if info.IsDir() {
		if slices.Contains(t.ours(), inode(info)) {
			return true, nil
		}
		if entries, err := os.ReadDir(t.dir); err == nil && len(entries) == 0 {
			return true, nil
		}
	}
	return false, usagef("%s exists and was not made by fetch; remove it, or name another directory", t.dir)
}

func inode(info fs.FileInfo) uint64 { return info.Sys().(*syscall.Stat_t).Ino }

// ours are the inodes that may stand at dir.
func (t *target) ours() (inodes []uint64) {
	text, err := os.ReadFile(t.note)
	if err != nil || json.Unmarshal(text, &inodes) != nil {
		return nil
	}
	return inodes
}

// claim writes down that directories are ours.
func (t *target) claim(inodes ...uint64) error {
	text, err := json.Marshal(inodes)
	if err != nil {
		return err
	}
	return atomicfile.Write(t.note, text, 0o600)
}

// stagingInfix marks the names of trees that are being built.
const stagingInfix = "-building-"

// build makes a new tree of hard links to the files of a snapshot, which may
// still be on their way to the disk; what earlier fetches left of theirs goes.
func (t *target) build(from string, m *store.Manifest, remotePath string) (staging string, err error) {
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

// publish puts a tree that was built at dir in one step. A crash leaves the old
// tree or the new one. What was at dir is at staging then.
func (t *target) publish(staging string) error {
	exists, err := t.replaceable()
	if err != nil {
		return err
	}
	info, err := os.Stat(staging)
	if err != nil {
		return err
	}
	if err := t.claim(append(t.ours(), inode(info))...); err != nil {
		return err
	}
	flags := uint(0)
	if exists {
		flags = unix.RENAME_EXCHANGE
	}
	if err := unix.Renameat2(unix.AT_FDCWD, staging, unix.AT_FDCWD, t.dir, flags); err != nil {
		if errors.Is(err, unix.EXDEV) {
			return usagef("--store %s is on another file system than %s", t.store, t.dir)
		}
		return err
	}
	if err := syncDir(filepath.Dir(t.dir)); err != nil {
		return err
	}
	return t.claim(inode(info))
}

// tidy deletes what older fetches left in a store of our own.
func (t *target) tidy(s *store.Store, current store.ID) error {
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

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
