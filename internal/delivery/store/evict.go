// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/filelock"
)

// candidate is a snapshot, or the leftovers of one, that may be evicted.
type candidate struct {
	id      snapshot.ID
	partial bool
	// bytes of a snapshot, or those promised to a download; allocated are
	// those of a download that have their place already.
	bytes, allocated int64
	used             time.Time
	// wanted: not used by a running process, but kept for later (Options.Wanted).
	wanted bool
}

// evictionCandidates lists everything in the store that is not needed, least recently
// used first, what is wanted behind everything else; and the bytes of all
// complete snapshots.
func (s *space) evictionCandidates(partials []candidate) (list []candidate, used int64, err error) {
	snapshots, err := s.completeSnapshots()
	if err != nil {
		return nil, 0, err
	}
	needed, wanted, err := s.neededAndWanted()
	if err != nil {
		return nil, 0, err
	}
	for _, snapshot := range snapshots {
		used += snapshot.Bytes
		if !needed[snapshot.ID] {
			list = append(list, candidate{id: snapshot.ID, bytes: snapshot.Bytes, used: snapshot.Used, wanted: wanted[snapshot.ID]})
		}
	}
	for _, p := range partials {
		p.allocated = allocatedBytes(s.partialDir(p.id))
		list = append(list, p)
	}
	slices.SortStableFunc(list, func(a, b candidate) int {
		if a.wanted != b.wanted {
			if b.wanted {
				return -1
			}
			return 1
		}
		return a.used.Compare(b.used)
	})
	return list, used, nil
}

// neededAndWanted returns which snapshots are needed, even without a lease, and which are
// wanted.
func (s *space) neededAndWanted() (needed, wanted map[snapshot.ID]bool, err error) {
	if s.options.Needed != nil {
		if needed, err = s.options.Needed(); err != nil {
			return nil, nil, storeErrorf("asking which snapshots are needed: %w", err)
		}
	}
	if s.options.Wanted != nil {
		if wanted, err = s.options.Wanted(); err != nil {
			return nil, nil, storeErrorf("asking which snapshots are wanted: %w", err)
		}
	}
	return needed, wanted, nil
}

// listPartials lists the downloads on their way or left behind.
func (d directory) listPartials() (list []candidate, err error) {
	_, ids, err := d.listIDs()
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		dir := d.partialDir(id)
		list = append(list, candidate{id: id, partial: true, bytes: readReservation(dir), used: laterTime(
			modTime(dir), modTime(filepath.Join(dir, journalName)))})
	}
	return list, nil
}

func modTime(path string) time.Time {
	info, err := os.Lstat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

func laterTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// evictCandidate deletes a candidate unless it is in use. Its locks show whether it is;
// they are tried once, without waiting.
func (s *space) evictCandidate(c candidate) (bool, error) {
	l, err := s.claimCandidate(c)
	if err != nil || l == nil {
		return false, err
	}
	dir := s.snapshotDir(c.id)
	if c.partial {
		dir = s.partialDir(c.id)
	}
	aside, err := s.trash.takeAway(dir)
	if err != nil {
		l.close()
		return false, err
	}
	// The locks are held, so a process that opens these files meanwhile finds out
	// that they have lost their names.
	if l.lease != nil {
		_ = os.Remove(s.leaseLock(c.id))
		_ = os.Remove(s.suspectMark(c.id))
	}
	if !isDir(s.partialDir(c.id)) && !isDir(s.snapshotDir(c.id)) {
		_ = os.Remove(s.writerLock(c.id))
		s.removeMarks(c.id)
	}
	// No caller waits for the deletion: the name is free.
	l.close()
	return true, s.trash.deleteTrash(aside)
}

// claim is the right to evict a candidate.
type claim struct{ writer, lease *os.File }

func (c *claim) close() {
	unlockFile(c.lease)
	unlockFile(c.writer)
}

// claimCandidate returns nil if the candidate is in use.
func (s *space) claimCandidate(c candidate) (*claim, error) {
	writer, err := lockFile(s.writerLock(c.id), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, filelock.ErrHeld) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if c.partial {
		return &claim{writer: writer}, nil
	}
	lease, err := lockFile(s.leaseLock(c.id), unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		unlockFile(writer)
		if errors.Is(err, filelock.ErrHeld) {
			return nil, nil
		}
		return nil, err
	}
	return &claim{writer: writer, lease: lease}, nil
}

// Evict deletes a snapshot unless it is leased, needed or wanted, and reports
// whether it did.
func (s *Store) Evict(id snapshot.ID) (bool, error) {
	if !id.Valid() || !isDir(s.snapshotDir(id)) {
		return false, nil
	}
	needed, wanted, err := s.space.neededAndWanted()
	if err != nil || needed[id] || wanted[id] {
		return false, err
	}
	return s.space.evictCandidate(candidate{id: id})
}

// Prune evicts the snapshots that are neither needed nor wanted, least recently
// used first, while all snapshots together have more than so many bytes. It returns
// those it evicted; with dry it evicts none, and returns those it would.
func (s *Store) Prune(to int64, dry bool) ([]Snapshot, error) {
	l, err := s.space.lockRoom()
	if err != nil {
		return nil, err
	}
	defer unlockFile(l)
	snapshots, err := s.completeSnapshots()
	if err != nil {
		return nil, err
	}
	needed, wanted, err := s.space.neededAndWanted()
	if err != nil {
		return nil, err
	}
	var used int64
	for _, snapshot := range snapshots {
		used += snapshot.Bytes
	}
	var pruned []Snapshot
	for _, snapshot := range snapshots {
		if used <= to {
			break
		}
		if needed[snapshot.ID] || wanted[snapshot.ID] {
			continue
		}
		gone, err := s.space.pruneSnapshot(snapshot.ID, dry)
		if err != nil {
			return pruned, err
		}
		if gone {
			used -= snapshot.Bytes
			pruned = append(pruned, snapshot)
		}
	}
	return pruned, nil
}

func (s *space) pruneSnapshot(id snapshot.ID, dry bool) (bool, error) {
	if !dry {
		return s.evictCandidate(candidate{id: id})
	}
	l, err := s.claimCandidate(candidate{id: id})
	if err != nil || l == nil {
		return false, err
	}
	l.close()
	return true, nil
}
