// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/filelock"
)

// Options of a Store.
type Options struct {
	// Root directory; it is made when it is missing.
	Root string
	// Quota is how many bytes of snapshots and downloads there are at most, 0
	// for no limit other than the file system's. Files that snapshots share
	// count in each.
	Quota int64
	// Reserve of the file system is left free by downloads of more than 16 MiB.
	// None where it is zero.
	Reserve Amount
	// High and Low are the watermarks, in percent of Quota and, with a Reserve,
	// of the file system as all its users fill it. Once one of the two is fuller
	// than High, Collect evicts down to Low. 0 means 80 and 70.
	High, Low int
	// PartialTTL is how long the leftovers of a download that is not resumed are
	// kept; 0 for a day.
	PartialTTL time.Duration
	// Needed returns snapshots that must stay even if they are not leased just
	// now, because the process of their user is being restarted. It is called each
	// time something is to be evicted. It may be nil.
	Needed func() (map[snapshot.ID]bool, error)
	// Wanted returns snapshots that are to stay as long as there is room: only a
	// Writer that is Urgent evicts them, after everything else. It is called, and
	// may be nil, like Needed.
	Wanted func() (map[snapshot.ID]bool, error)
	// CompareTaken has CheckTaken compare every byte, not only those of small files.
	CompareTaken bool
}

// The default watermarks.
const (
	defaultHigh = 80
	defaultLow  = 70
)

func (o *Options) completeAndValidate() error {
	root, err := filepath.Abs(o.Root)
	if err != nil {
		return storeErrorf("opening the store: %w", err)
	}
	o.Root = root
	if o.PartialTTL == 0 {
		o.PartialTTL = 24 * time.Hour
	}
	if o.High == 0 && o.Low == 0 {
		o.High, o.Low = defaultHigh, defaultLow
	}
	if o.Low < 0 || o.Low > o.High || o.High > 100 {
		return storeErrorf("opening the store: the watermarks are %d %% and %d %%; the low one must be from 0 to the high one, which must not "+
			"be above 100", o.High, o.Low)
	}
	return nil
}

// Store is a directory of snapshots. Any number of processes may have the same
// one open; a Store is safe for use by several goroutines.
type Store struct {
	directory
	space    *space
	presence *presence
	verifier verifier
}

// Open makes the layout below the root where it is missing, and returns the store.
func Open(o Options) (*Store, error) {
	if err := o.completeAndValidate(); err != nil {
		return nil, err
	}
	d := newDirectory(o.Root)
	space := &space{directory: d, options: o}
	s := &Store{directory: d, space: space, presence: &presence{directory: d, space: space}, verifier: verifier{d}}
	if err := s.presence.initStore(); err != nil {
		return nil, err
	}
	return s, nil
}

// Root is the absolute path of the store.
func (s *Store) Root() string { return s.root }

// Lease returns a lease of a complete snapshot, or ErrNotStored; ErrDamaged if
// its manifest cannot be read. A snapshot that was committed shortly before a
// crash of the machine is verified first, once for all processes.
func (s *Store) Lease(id snapshot.ID) (*Lease, error) {
	return s.acquireLease(context.Background(), id)
}

// Peek returns the manifest of a complete snapshot, Packed, and the directory of its
// files, without a lease and without counting as a use: for who can do without
// it when it is evicted meanwhile. Errors are those of Lease.
func (s *Store) Peek(ctx context.Context, id snapshot.ID) (*snapshot.Manifest, string, error) {
	if err := s.verifier.resolveDoubt(ctx, id); err != nil {
		return nil, "", err
	}
	l, err := s.openLease(id)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = l.Close() }()
	if err := l.loadHeader(s.snapshotDir(id)); err != nil {
		return nil, "", err
	}
	return l.Contents(), l.dir, nil
}

func (s *Store) acquireLease(ctx context.Context, id snapshot.ID) (*Lease, error) {
	if err := s.verifier.resolveDoubt(ctx, id); err != nil {
		return nil, err
	}
	l, err := s.openLease(id)
	if err != nil {
		return nil, err
	}
	if err = l.loadHeader(s.snapshotDir(id)); err != nil {
		_ = l.Close()
		return nil, err
	}
	if err := l.markUsed(); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// Acquire returns either a lease of the key's snapshot, or the writer that is
// to make it; one of the two is nil. While another process writes it, Acquire
// calls waiting once and waits until that one is done or dead.
func (s *Store) Acquire(ctx context.Context, key snapshot.Key, waiting func()) (*Lease, *Writer, error) {
	if err := s.presence.ensureExists(); err != nil {
		return nil, nil, err
	}
	id := key.ID()
	var (
		l      *Lease
		f      *os.File
		waited bool
	)
	try := func() (err error) {
		// Those who wait for the same snapshot all get it at once: only a
		// snapshot that is not there needs the lock.
		l, err = s.acquireLease(ctx, id)
		if !errors.Is(err, ErrNotStored) && !errors.Is(err, snapshot.ErrDamaged) {
			return err
		}
		f, err = lockFile(s.writerLock(id), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, filelock.ErrHeld) && !waited {
			waited = true
			waiting()
		}
		return err
	}
	err := try()
	if errors.Is(err, filelock.ErrHeld) {
		arrivals := s.watchSnapshots()
		defer arrivals.stop()
		err = arrivals.awaitLock(ctx, try)
	}
	if err != nil || l != nil {
		return l, nil, err
	}
	return s.startWriter(ctx, key, f)
}

// startWriter returns the writer that holds the lock f, unless another was quicker.
func (s *Store) startWriter(ctx context.Context, key snapshot.Key, f *os.File) (*Lease, *Writer, error) {
	id := key.ID()
	l, err := s.acquireLease(ctx, id)
	if errors.Is(err, snapshot.ErrDamaged) {
		if err = s.trash.discardDirectory(s.snapshotDir(id)); err == nil {
			err = ErrNotStored
		}
	}
	if !errors.Is(err, ErrNotStored) {
		unlockFile(f)
		return l, nil, err
	}
	w, err := newWriter(ctx, s, key, f)
	if err != nil {
		unlockFile(f)
		return nil, nil, err
	}
	return nil, w, nil
}
