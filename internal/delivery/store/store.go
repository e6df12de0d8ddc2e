// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Options of a Store.
type Options struct {
	// Root directory; it is made when it is missing.
	Root string
	// Quota is how many bytes of snapshots are kept at most, 0 for no limit
	// other than the file system's. Files that snapshots share count in each.
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
	options   Options
	snapshots string
	locks     string
	trash     string
}

// Open makes the layout below the root where it is missing, and returns the store.
func Open(o Options) (*Store, error) {
	root, err := filepath.Abs(o.Root)
	if err != nil {
		return nil, failf("opening the store: %w", err)
	}
	o.Root = root
	if o.PartialTTL == 0 {
		o.PartialTTL = 24 * time.Hour
	}
	s := &Store{
		options:   o,
		snapshots: filepath.Join(root, "snapshots"),
		locks:     filepath.Join(root, "locks"),
		trash:     filepath.Join(root, "trash"),
	}
	for _, dir := range []string{s.snapshots, s.locks, s.trash} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, failf("opening the store: %w", err)
		}
	}
	return s, nil
}

// Root is the absolute path of the store.
func (s *Store) Root() string { return s.options.Root }

const partialSuffix = ".partial"

func (s *Store) snapshotDir(id ID) string { return filepath.Join(s.snapshots, string(id)) }
func (s *Store) partialDir(id ID) string  { return s.snapshotDir(id) + partialSuffix }
func (s *Store) leaseLock(id ID) string   { return filepath.Join(s.locks, string(id)+".lease") }
func (s *Store) writerLock(id ID) string  { return filepath.Join(s.locks, string(id)+".writer") }

// Lease keeps a complete snapshot from being evicted. The kernel ends it when
// the process dies.
type Lease struct {
	id       ID
	dir      string
	manifest *Manifest
	lock     *os.File
}

// ID of the snapshot.
func (l *Lease) ID() ID { return l.id }

// Dir is the absolute path of the directory with the snapshot's files. They
// must not be written to.
func (l *Lease) Dir() string { return l.dir }

// Manifest of the snapshot. It must not be written to.
func (l *Lease) Manifest() *Manifest { return l.manifest }

// Close ends the lease. It may be called more than once.
func (l *Lease) Close() error {
	if err := l.lock.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return failf("closing a lease: %w", err)
	}
	return nil
}

// Lease returns a lease of a complete snapshot, or ErrNotStored; ErrDamaged if
// its manifest cannot be read. It waits for nothing but a deletion that is just
// going on.
func (s *Store) Lease(id ID) (*Lease, error) {
	l, err := s.hold(id)
	if err != nil {
		return nil, err
	}
	if l.manifest, err = readManifest(s.snapshotDir(id)); err != nil {
		_ = l.Close()
		return nil, err
	}
	now := time.Now()
	if err := os.Chtimes(s.leaseLock(id), now, now); err != nil {
		_ = l.Close()
		return nil, failf("marking a snapshot as used: %w", err)
	}
	return l, nil
}

// hold is Lease without reading the manifest and without counting as a use.
func (s *Store) hold(id ID) (*Lease, error) {
	if !id.Valid() || !exists(s.snapshotDir(id)) {
		return nil, ErrNotStored
	}
	f, err := lock(s.leaseLock(id), unix.LOCK_SH)
	if err != nil {
		return nil, err
	}
	if !exists(s.snapshotDir(id)) {
		f.Close()
		return nil, ErrNotStored
	}
	return &Lease{id: id, dir: filepath.Join(s.snapshotDir(id), dataDir), lock: f}, nil
}

// Acquire returns either a lease of the key's snapshot, or the writer that is
// to make it; one of the two is nil. While another process writes it, Acquire
// calls waiting once and waits until that one is done or dead.
func (s *Store) Acquire(ctx context.Context, key Key, waiting func()) (*Lease, *Writer, error) {
	id := key.ID()
	l, err := s.Lease(id)
	if !errors.Is(err, ErrNotStored) && !errors.Is(err, ErrDamaged) {
		return l, nil, err
	}
	f, err := waitLock(ctx, s.writerLock(id), waiting)
	if err != nil {
		return nil, nil, err
	}
	l, err = s.Lease(id)
	if errors.Is(err, ErrDamaged) {
		if err = s.discard(s.snapshotDir(id)); err == nil {
			err = ErrNotStored
		}
	}
	if !errors.Is(err, ErrNotStored) {
		f.Close()
		return l, nil, err
	}
	w, err := newWriter(ctx, s, key, f)
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return nil, w, nil
}

// discard takes a directory away as a whole, and then deletes it.
func (s *Store) discard(dir string) error {
	tmp, err := os.MkdirTemp(s.trash, "")
	if err != nil {
		return failf("deleting %s: %w", dir, err)
	}
	if err := os.Rename(dir, filepath.Join(tmp, "d")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failf("deleting %s: %w", dir, err)
	}
	if err := os.RemoveAll(tmp); err != nil {
		return failf("deleting %s: %w", dir, err)
	}
	return nil
}
