// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

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
func (s *Store) Snapshots() ([]Snapshot, error) {
	names, err := os.ReadDir(s.snapshots)
	if err != nil {
		return nil, failf("listing snapshots: %w", err)
	}
	var list []Snapshot
	for _, name := range names {
		id := ID(name.Name())
		if !id.Valid() {
			continue
		}
		m, err := readHeader(s.snapshotDir(id))
		if err != nil {
			if exists(s.snapshotDir(id)) && !errors.Is(err, ErrDamaged) {
				return nil, err
			}
			continue
		}
		list = append(list, Snapshot{ID: id, Key: m.Key, Digest: m.Digest, Bytes: m.Bytes, Used: s.used(id)})
	}
	slices.SortFunc(list, func(a, b Snapshot) int { return a.Used.Compare(b.Used) })
	return list, nil
}

func (s *Store) used(id ID) time.Time {
	return modified(s.leaseLock(id))
}

func modified(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// free is how many bytes may still be written to the file system.
func (s *Store) free() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(s.snapshots, &st); err != nil {
		return 0, failf("asking for free space: %w", err)
	}
	return max(int64(st.Bavail)*st.Bsize-s.options.Reserve, 0), nil
}

// Reserve makes room: for missing bytes that are still to be written in the
// file system, and for total bytes of the whole snapshot in the quota. What
// nobody uses is evicted as far as it must. An *InsufficientSpaceError tells
// that there is no room even so.
func (w *Writer) Reserve(total, missing int64) error {
	s := w.store
	free, err := s.free()
	if err != nil {
		return err
	}
	if free >= missing && s.options.Quota == 0 {
		return nil
	}
	candidates, used, err := s.candidates()
	if err != nil {
		return err
	}
	for {
		over := s.options.Quota > 0 && used+total > s.options.Quota
		if free >= missing && !over {
			return nil
		}
		if len(candidates) == 0 {
			if over {
				return &InsufficientSpaceError{Needed: total, Free: max(s.options.Quota-used, 0), Quota: true}
			}
			return &InsufficientSpaceError{Needed: missing, Free: free}
		}
		next := candidates[0]
		candidates = candidates[1:]
		evicted, err := s.evict(next)
		if err != nil {
			return err
		}
		if evicted {
			used -= next.bytes
		}
		if free, err = s.free(); err != nil {
			return err
		}
	}
}

// candidate is a snapshot, or the leftovers of one, that may be evicted.
type candidate struct {
	id      ID
	partial bool
	bytes   int64
	used    time.Time
}

// candidates lists everything in the store, least recently used first, and the
// bytes of the complete snapshots.
func (s *Store) candidates() (list []candidate, used int64, err error) {
	snapshots, err := s.Snapshots()
	if err != nil {
		return nil, 0, err
	}
	for _, snapshot := range snapshots {
		used += snapshot.Bytes
		list = append(list, candidate{id: snapshot.ID, bytes: snapshot.Bytes, used: snapshot.Used})
	}
	partials, err := s.partials()
	if err != nil {
		return nil, 0, err
	}
	list = append(list, partials...)
	slices.SortStableFunc(list, func(a, b candidate) int { return a.used.Compare(b.used) })
	return list, used, nil
}

func (s *Store) partials() (list []candidate, err error) {
	names, err := os.ReadDir(s.snapshots)
	if err != nil {
		return nil, failf("listing downloads: %w", err)
	}
	for _, name := range names {
		id, ok := strings.CutSuffix(name.Name(), partialSuffix)
		if ok && ID(id).Valid() {
			dir := s.partialDir(ID(id))
			list = append(list, candidate{id: ID(id), partial: true, used: latest(
				modified(dir), modified(filepath.Join(dir, journalName)))})
		}
	}
	return list, nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// evict deletes a candidate unless somebody uses it.
func (s *Store) evict(c candidate) (bool, error) {
	writer, err := lock(s.writerLock(c.id), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, errBusy) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer writer.Close()
	if c.partial {
		if err := s.discard(s.partialDir(c.id)); err != nil {
			return false, err
		}
		if !exists(s.snapshotDir(c.id)) {
			_ = os.Remove(s.writerLock(c.id))
		}
		return true, nil
	}
	lease, err := lock(s.leaseLock(c.id), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, errBusy) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer lease.Close()
	if err := s.discard(s.snapshotDir(c.id)); err != nil {
		return false, err
	}
	// The locks are held, so whoever opens these files meanwhile finds out that
	// they have lost their names.
	_ = os.Remove(s.leaseLock(c.id))
	if !exists(s.partialDir(c.id)) {
		_ = os.Remove(s.writerLock(c.id))
	}
	return true, nil
}

// Collect deletes what dead processes left behind, and the least recently used
// snapshots without a lease while the store is over its quota.
func (s *Store) Collect() error {
	if err := s.emptyTrash(); err != nil {
		return err
	}
	partials, err := s.partials()
	if err != nil {
		return err
	}
	for _, p := range partials {
		if time.Since(p.used) > s.options.PartialTTL {
			if _, err := s.evict(p); err != nil {
				return err
			}
		}
	}
	if err := s.sweepLocks(); err != nil {
		return err
	}
	if s.options.Quota == 0 {
		return nil
	}
	candidates, used, err := s.candidates()
	if err != nil {
		return err
	}
	for _, c := range candidates {
		if used <= s.options.Quota {
			break
		}
		if c.partial {
			continue
		}
		evicted, err := s.evict(c)
		if err != nil {
			return err
		}
		if evicted {
			used -= c.bytes
		}
	}
	return nil
}

// sweepLocks deletes lock files whose snapshot is gone and that nobody holds.
func (s *Store) sweepLocks() error {
	names, err := os.ReadDir(s.locks)
	if err != nil {
		return failf("listing locks: %w", err)
	}
	for _, name := range names {
		id := ID(strings.TrimSuffix(name.Name(), filepath.Ext(name.Name())))
		if !id.Valid() || exists(s.snapshotDir(id)) || exists(s.partialDir(id)) {
			continue
		}
		path := filepath.Join(s.locks, name.Name())
		f, err := lock(path, unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, errBusy) {
			continue
		}
		if err != nil {
			return err
		}
		if !exists(s.snapshotDir(id)) {
			_ = os.Remove(path)
		}
		f.Close()
	}
	return nil
}

// emptyTrash finishes deletions that were cut off. Another process may be at
// the same, so what is gone already is no failure.
func (s *Store) emptyTrash() error {
	names, err := os.ReadDir(s.trash)
	if err != nil {
		return failf("emptying the trash: %w", err)
	}
	for _, name := range names {
		if err := os.RemoveAll(filepath.Join(s.trash, name.Name())); err != nil && exists(filepath.Join(s.trash, name.Name())) {
			return failf("emptying the trash: %w", err)
		}
	}
	return nil
}

// Evict deletes a snapshot unless somebody holds a lease of it, and tells
// whether it did.
func (s *Store) Evict(id ID) (bool, error) {
	if !id.Valid() || !exists(s.snapshotDir(id)) {
		return false, nil
	}
	return s.evict(candidate{id: id})
}
