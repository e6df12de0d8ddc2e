// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/filelock"
)

// Snapshot is one snapshot as Snapshots and Downloads list it.
type Snapshot struct {
	ID     snapshot.ID
	Key    snapshot.Key
	Digest string
	Bytes  int64
	// Files is how many the snapshot has; 0 if an older release wrote it, and
	// of a download.
	Files int
	// Used is when the snapshot was last leased or let go; of a download, when
	// it last went on.
	Used time.Time
	// Marks are what items call its bytes, sorted.
	Marks []string
}

// listIDs lists the directories in the store: complete snapshots and downloads.
// Only directories count: a link that was put there leads out of the store.
func (d directory) listIDs() (complete, partial []snapshot.ID, err error) {
	names, err := os.ReadDir(d.snapshots)
	if err != nil {
		return nil, nil, storeErrorf("listing snapshots: %w", err)
	}
	for _, name := range names {
		id, isPartial := strings.CutSuffix(name.Name(), partialSuffix)
		switch {
		case !name.IsDir() || !snapshot.ID(id).Valid():
		case isPartial:
			partial = append(partial, snapshot.ID(id))
		default:
			complete = append(complete, snapshot.ID(id))
		}
	}
	return complete, partial, nil
}

// Snapshots lists the complete snapshots, least recently used first.
func (s *Store) Snapshots() ([]Snapshot, error) {
	list, err := s.completeSnapshots()
	return s.withMarks(list, err)
}

func (d directory) withMarks(list []Snapshot, err error) ([]Snapshot, error) {
	if err != nil {
		return nil, err
	}
	marks, err := d.listMarks()
	if err != nil {
		return nil, err
	}
	for i := range list {
		list[i].Marks = marks[list[i].ID]
	}
	return list, nil
}

// completeSnapshots is Snapshots without the marks.
func (d directory) completeSnapshots() ([]Snapshot, error) {
	ids, _, err := d.listIDs()
	if err != nil {
		return nil, err
	}
	list := make([]Snapshot, 0, len(ids))
	for _, id := range ids {
		m, err := snapshot.ReadHeader(d.snapshotDir(id))
		if errors.Is(err, snapshot.ErrDamaged) || (err != nil && !isDir(d.snapshotDir(id))) {
			continue
		}
		if err != nil {
			return nil, storeErrorf("%w", err)
		}
		used := modTime(d.leaseLock(id))
		if used.IsZero() {
			used = modTime(d.snapshotDir(id)) // it has just come, or the locks were deleted
		}
		list = append(list, Snapshot{ID: id, Key: m.Key, Digest: m.Digest, Bytes: m.Bytes, Files: m.Files, Used: used})
	}
	slices.SortStableFunc(list, func(a, b Snapshot) int { return a.Used.Compare(b.Used) })
	return list, nil
}

// Downloads lists the snapshots that are on their way or were left behind. Of a
// download by an older release the Key is empty.
func (s *Store) Downloads() ([]Snapshot, error) {
	partials, err := s.listPartials()
	if err != nil {
		return nil, err
	}
	list := make([]Snapshot, 0, len(partials))
	for _, p := range partials {
		list = append(list, Snapshot{ID: p.id, Key: journalKey(filepath.Join(s.partialDir(p.id), journalName)), Bytes: p.bytes, Used: p.used})
	}
	return s.withMarks(list, nil)
}

// Unreadable lists what has a snapshot's name but no manifest that can be read.
func (s *Store) Unreadable() ([]snapshot.ID, error) {
	ids, _, err := s.listIDs()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(ids, func(id snapshot.ID) bool {
		_, err := snapshot.ReadHeader(s.snapshotDir(id))
		return !errors.Is(err, snapshot.ErrDamaged) || !isDir(s.snapshotDir(id))
	}), nil
}

// InUse reports whether a process holds a lease of a snapshot, or writes it.
func (s *Store) InUse(id snapshot.ID) (bool, error) {
	for _, path := range []string{s.leaseLock(id), s.writerLock(id)} {
		if !pathExists(path) {
			continue
		}
		f, err := lockFile(path, unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, filelock.ErrHeld) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		unlockFile(f)
	}
	return false, nil
}

// Leases counts the leases of a snapshot that can be seen: the kernel shows a
// process only the locks of processes in its own PID namespace or below. Use
// InUse to know whether there are any.
func (s *Store) Leases(id snapshot.ID) (int, error) {
	var st unix.Stat_t
	if err := unix.Lstat(s.leaseLock(id), &st); err != nil {
		return 0, nil //nolint:nilerr // never leased
	}
	text, err := os.ReadFile("/proc/locks")
	if err != nil {
		return 0, storeErrorf("counting leases: %w", err)
	}
	file := fmt.Sprintf("%02x:%02x:%d", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)
	n := 0
	for line := range strings.Lines(string(text)) {
		// 1: FLOCK  ADVISORY  READ 4711 fe:00:1234 0 EOF; who waits has an arrow.
		f := strings.Fields(line)
		if len(f) >= 6 && f[1] == "FLOCK" && f[3] == "READ" && f[5] == file {
			n++
		}
	}
	return n, nil
}
