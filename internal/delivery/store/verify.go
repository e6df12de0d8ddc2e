// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/filelock"
)

// Verify compares a snapshot with its manifest: sizes, modes and modification
// times, and with deep the digests of the bytes. One that was committed shortly
// before a crash of the machine is read in any case, once. A damaged one is
// taken away and reported as ErrDamaged; a missing one is ErrNotStored.
//
// It is taken away whether it is leased or not, because no further delivery may
// use it. Views of living pods keep the files that they link. The next delivery
// makes the snapshot anew, protected by the leases that there are; a view
// notices, when it is checked, that its files are not those of the snapshot,
// and is built again.
func (s *Store) Verify(ctx context.Context, id snapshot.ID, deep bool) error {
	if err := s.verifier.resolveDoubt(ctx, id); err != nil {
		return err
	}
	return s.verifier.verifySnapshot(ctx, id, depthOf(deep))
}

// verifier compares snapshots with their manifests, and takes damaged ones away.
type verifier struct{ directory }

// depth is how much of a snapshot is looked at.
type depth int

const (
	// facts are sizes, modes and times.
	facts depth = iota
	// glance is the bytes of small files, too, up to a limit.
	glance
	// all is every byte.
	all
)

// What is read at a glance: what programs run and are configured by is small, and
// reading it again costs some ten milliseconds.
const (
	glanceFile  = 1 << 20
	glanceBytes = 64 << 20
	glanceFiles = 4096
)

// Recheck is Verify before a snapshot is served to another pod. Beside the facts of
// all files it compares the bytes of the small ones: a process that can write to a
// file can also set its time back. In a large file only a deep Verify sees that.
func (s *Store) Recheck(ctx context.Context, id snapshot.ID) error {
	return s.recheckSnapshot(ctx, id, glance)
}

// CheckTaken is Recheck of a snapshot that this process has not brought itself and takes for
// the first time. With Options.CompareTaken it is a deep Verify.
func (s *Store) CheckTaken(ctx context.Context, id snapshot.ID) error {
	if s.space.options.CompareTaken {
		return s.recheckSnapshot(ctx, id, all)
	}
	return s.recheckSnapshot(ctx, id, glance)
}

func (s *Store) recheckSnapshot(ctx context.Context, id snapshot.ID, d depth) error {
	if err := s.verifier.resolveDoubt(ctx, id); err != nil {
		return err
	}
	return s.verifier.verifySnapshot(ctx, id, d)
}

func depthOf(deep bool) depth {
	if deep {
		return all
	}
	return facts
}

// verifySnapshot is Verify for a snapshot that is not in doubt.
func (v verifier) verifySnapshot(ctx context.Context, id snapshot.ID, d depth) error {
	err := v.examineSnapshot(ctx, id, d)
	if !errors.Is(err, snapshot.ErrDamaged) {
		return err
	}
	if discardErr := v.discardDamaged(id); discardErr != nil {
		return discardErr
	}
	return err
}

// Examine is Verify that leaves a damaged snapshot where it is.
func (s *Store) Examine(ctx context.Context, id snapshot.ID, deep bool) error {
	return s.verifier.examineSnapshot(ctx, id, depthOf(deep))
}

func (v verifier) examineSnapshot(ctx context.Context, id snapshot.ID, d depth) error {
	l, err := v.openLease(id)
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	if err := l.loadHeader(v.snapshotDir(id)); err != nil {
		return err
	}
	return compareFiles(ctx, l, d)
}

// discardDamaged takes a snapshot away unless a process is replacing it already.
func (v verifier) discardDamaged(id snapshot.ID) error {
	f, err := lockFile(v.writerLock(id), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, filelock.ErrHeld) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unlockFile(f)
	if err := v.trash.discardDirectory(v.snapshotDir(id)); err != nil {
		return err
	}
	return v.clearDoubt(id)
}

func compareFiles(ctx context.Context, l *Lease, d depth) error {
	root, err := os.OpenRoot(l.dir)
	if err != nil {
		return fmt.Errorf("verifying a snapshot: %w: %w", snapshot.ErrDamaged, err)
	}
	defer root.Close()
	var buffer []byte
	switch d {
	case all:
		buffer = make([]byte, 1<<20)
	case glance:
		buffer = make([]byte, 64<<10)
	case facts:
	}
	glanced, bytes := 0, int64(0)
	for e := range l.header.Packed.All() {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		read := d == all
		if d == glance && e.Size <= glanceFile && bytes+e.Size <= glanceBytes && glanced < glanceFiles {
			read, bytes, glanced = true, bytes+e.Size, glanced+1
		}
		ok, err := verifyEntry(root, e, buffer, read)
		if err != nil {
			return storeErrorf("verifying %s: %w", e.Path, err)
		}
		if !ok {
			return fmt.Errorf("verifying a snapshot: %w: the file %q is not what was delivered", snapshot.ErrDamaged, e.Path)
		}
	}
	return nil
}

func verifyEntry(root *os.Root, e snapshot.Entry, buffer []byte, read bool) (bool, error) {
	if e.Link != "" {
		target, err := root.Readlink(e.Path)
		return err == nil && target == e.Link, nil
	}
	info, err := root.Lstat(e.Path)
	if err != nil || !sameFacts(info, e) {
		return false, nil
	}
	if !read {
		return true, nil
	}
	f, err := root.Open(e.Path)
	if err != nil {
		return false, nil
	}
	defer f.Close()
	return checkEntry(f, e, buffer, true)
}
