// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Verify compares a snapshot with its manifest: sizes, modes and modification
// times, and with deep the digests of the bytes. A damaged one is moved aside
// (leases of it turn void, hard links elsewhere stay) and reported as
// ErrDamaged; a missing one is ErrNotStored.
func (s *Store) Verify(ctx context.Context, id ID, deep bool) error {
	l, err := s.hold(id)
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	l.manifest, err = readManifest(s.snapshotDir(id))
	if err == nil {
		err = verify(ctx, l, deep)
	}
	if !errors.Is(err, ErrDamaged) {
		return err
	}
	f, lockErr := lock(s.writerLock(id), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(lockErr, errBusy) {
		return err // somebody is replacing it already
	}
	if lockErr != nil {
		return lockErr
	}
	defer f.Close()
	if discardErr := s.discard(s.snapshotDir(id)); discardErr != nil {
		return discardErr
	}
	return err
}

func verify(ctx context.Context, l *Lease, deep bool) error {
	root, err := os.OpenRoot(l.dir)
	if err != nil {
		return fmt.Errorf("verifying a snapshot: %w: %w", ErrDamaged, err)
	}
	defer root.Close()
	var buffer []byte
	if deep {
		buffer = make([]byte, 1<<20)
	}
	for _, e := range l.manifest.Entries {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		ok, err := verifyEntry(root, e, buffer, deep)
		if err != nil {
			return failf("verifying %s: %w", e.Path, err)
		}
		if !ok {
			return fmt.Errorf("verifying a snapshot: %w: the file %q is not what was delivered", ErrDamaged, e.Path)
		}
	}
	return nil
}

func verifyEntry(root *os.Root, e Entry, buffer []byte, deep bool) (bool, error) {
	if e.Link != "" {
		target, err := root.Readlink(e.Path)
		return err == nil && target == e.Link, nil
	}
	if !deep {
		info, err := root.Lstat(e.Path)
		return err == nil && sameFacts(info, e), nil
	}
	f, err := root.Open(e.Path)
	if err != nil {
		return false, nil
	}
	defer f.Close()
	return checkEntry(f, e, buffer, true)
}
