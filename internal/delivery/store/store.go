// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"time"
)

// Options of a Store.
type Options struct {
	// Root directory; it is made when it is missing.
	Root string
	// Quota is how many bytes of snapshots are kept at most, 0 for no limit
	// other than the file system's.
	Quota int64
	// Reserve is how many bytes of the file system are left free.
	Reserve int64
	// PartialTTL is how long the leftovers of a download that nobody resumes
	// are kept; 0 for a day.
	PartialTTL time.Duration
}

// Store is a directory of snapshots. Any number of processes may have the same
// one open; a Store is safe for use by several goroutines.
type Store struct {
	options Options
}

// Open makes the layout below the root where it is missing, and returns the store.
func Open(o Options) (*Store, error) { return nil, failf("opening the store") }

// Lease returns a lease of a complete snapshot, or ErrNotStored. It waits for
// nothing but a deletion that is just going on.
func (s *Store) Lease(id ID) (*Lease, error) { return nil, ErrNotStored }

// Verify compares a snapshot with its manifest: sizes, modes and modification
// times, and with deep the digests of the bytes. A damaged one is moved aside
// (leases of it turn void, hard links elsewhere stay) and reported as
// ErrDamaged; a missing one is ErrNotStored.
func (s *Store) Verify(ctx context.Context, id ID, deep bool) error { return nil }

// Collect deletes what dead processes left behind, and the least recently used
// snapshots without a lease while the store is over its quota.
func (s *Store) Collect() error { return nil }

// Snapshot is one complete snapshot as Snapshots lists it.
type Snapshot struct {
	ID     ID
	Key    Key
	Digest string
	Bytes  int64
	// Used is when the snapshot was last leased.
	Used time.Time
}

// Snapshots lists the complete snapshots, least recently used first.
func (s *Store) Snapshots() ([]Snapshot, error) { return nil, nil }

// Lease keeps a complete snapshot from being evicted. The kernel ends it when
// the process dies.
type Lease struct {
	id       ID
	dir      string
	manifest *Manifest
}

// ID of the snapshot.
func (l *Lease) ID() ID { return l.id }

// Dir is the absolute path of the directory with the snapshot's files. They
// must not be written to.
func (l *Lease) Dir() string { return l.dir }

// Manifest of the snapshot. It must not be written to.
func (l *Lease) Manifest() *Manifest { return l.manifest }

// Close ends the lease. It may be called more than once.
func (l *Lease) Close() error { return nil }
