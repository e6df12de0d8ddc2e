// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
)

var (
	// ErrNotStored tells that there is no complete snapshot of that name.
	ErrNotStored = errors.New("not in the store")
	// ErrStore tells that reading or writing the store failed. Every error of this package
	// other than the above, snapshot.ErrDamaged, the context's and *InsufficientSpaceError
	// matches it.
	ErrStore = errors.New("store failed")
)

// InsufficientSpaceError tells that the store has no room, even after
// everything unused was evicted.
type InsufficientSpaceError struct {
	// Needed is how many bytes are to be written.
	Needed int64
	// Free is how many bytes may be.
	Free int64
	// Quota tells that the store's quota is the limit, not the file system.
	Quota bool
	// Inodes tells that the file system takes no more files, whatever their size.
	Inodes bool
	// DiskQuota tells that the file system's quota for the user, the group or the
	// project is used up; Free says nothing then.
	DiskQuota bool
}

// Error names the numbers and the way out.
func (e *InsufficientSpaceError) Error() string {
	switch {
	case e.Inodes:
		return "insufficient space: the store's file system has no inodes left and takes no more files, however small; remove files on the " +
			"node, or items with many files"
	case e.DiskQuota:
		return "insufficient space: the disk quota of the store's user, group or project is used up (bytes or files); raise it or remove items"
	case e.Quota:
		return fmt.Sprintf("insufficient space: %d bytes needed, %d left of the store's quota; raise the quota or remove items", e.Needed, e.Free)
	}
	return fmt.Sprintf("insufficient space: %d bytes needed, %d free in the store's file system; make room on the node or remove items",
		e.Needed, e.Free)
}

// storeError is an error with ErrStore behind it.
type storeError struct{ err error }

func (e *storeError) Error() string        { return e.err.Error() }
func (e *storeError) Unwrap() error        { return e.err }
func (e *storeError) Is(target error) bool { return target == ErrStore }

// storeErrorf formats an error that matches ErrStore.
func storeErrorf(format string, args ...any) error {
	return &storeError{fmt.Errorf(format, args...)}
}
