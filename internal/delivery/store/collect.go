// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/filelock"
)

// Collect deletes what dead processes left behind, and the least recently used
// snapshots that are not needed, while the store is fuller than its watermarks.
// Each process that has the store open calls it now and then; more than one at
// a time do no harm.
func (s *Store) Collect() error {
	if err := s.presence.ensureExists(); err != nil {
		return err
	}
	if err := s.trash.emptyTrash(); err != nil {
		return err
	}
	if err := s.presence.signOfLife(); err != nil {
		return err
	}
	return s.space.collect()
}

// collect evicts what is too old or too much, and sweeps up what belongs to nothing.
func (s *space) collect() error {
	partials, err := s.listPartials()
	if err != nil {
		return err
	}
	for _, p := range partials {
		if time.Since(p.used) > s.options.PartialTTL {
			if _, err := s.evictCandidate(p); err != nil {
				return err
			}
		}
	}
	if err := s.sweepLeftovers(); err != nil {
		return err
	}
	if err := s.sweepLocks(); err != nil {
		return err
	}
	if err := s.sweepMarks(); err != nil {
		return err
	}
	return s.evictToLowWatermark()
}

// evictToLowWatermark evicts down to the low watermark once the store is above the high one.
// A store without a quota and a reserve keeps what it has until a download
// needs the room.
func (s *space) evictToLowWatermark() error {
	if s.options.Quota == 0 && s.options.Reserve == (Amount{}) {
		return nil
	}
	l, err := s.lockRoom()
	if err != nil {
		return err
	}
	defer unlockFile(l)
	r, partials, err := s.measureRoom("")
	if err != nil {
		return err
	}
	r.missing = s.missingBytes(partials)
	candidates, used, err := s.evictionCandidates(nil)
	if err != nil {
		return err
	}
	r.used = used
	if !r.isAbove(s.options.High) {
		return nil
	}
	for _, c := range candidates {
		if !r.isAbove(s.options.Low) || c.wanted {
			return nil
		}
		evicted, err := s.evictCandidate(c)
		if err != nil {
			return err
		}
		if evicted {
			r = r.withoutCandidate(c)
		}
		if _, r.free, err = s.fileSystem(); err != nil {
			return err
		}
	}
	return nil
}

// sweepLeftovers deletes what a writer that died right after its commit left in
// the snapshot.
func (s *space) sweepLeftovers() error {
	ids, _, err := s.listIDs()
	if err != nil {
		return err
	}
	for _, id := range ids {
		s.removeLeftovers(id)
	}
	return nil
}

// removeLeftovers deletes what only a download needs from a complete snapshot.
// It is of no use there and no harm.
func (d directory) removeLeftovers(id snapshot.ID) {
	_ = os.Remove(filepath.Join(d.snapshotDir(id), journalName))
	_ = os.Remove(filepath.Join(d.snapshotDir(id), reservedName))
}

// sweepLocks deletes lock files and marks whose snapshot is gone and that no
// process holds.
func (s *space) sweepLocks() error {
	names, err := os.ReadDir(s.locks)
	if err != nil {
		return storeErrorf("listing locks: %w", err)
	}
	for _, name := range names {
		id := snapshot.ID(strings.TrimSuffix(name.Name(), filepath.Ext(name.Name())))
		if !id.Valid() || isDir(s.snapshotDir(id)) || isDir(s.partialDir(id)) {
			continue
		}
		path := filepath.Join(s.locks, name.Name())
		f, err := lockFile(path, unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, filelock.ErrHeld) {
			continue
		}
		if err != nil {
			return err
		}
		if !isDir(s.snapshotDir(id)) {
			_ = os.Remove(path)
		}
		unlockFile(f)
	}
	return nil
}
