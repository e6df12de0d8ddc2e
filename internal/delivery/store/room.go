// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
)

// space decides how much room a download gets, what is evicted for it, and what is
// swept up. It takes the lock of the room; what is in use it finds out by the locks
// of the snapshots, without waiting.
type space struct {
	directory
	options Options
}

// smallDownload is what may be downloaded into the reserve, in bytes: a changed
// configuration gets through on a node whose disk is nearly full.
const smallDownload = 16 << 20

// room is what decisions about room are made from. All numbers are bytes.
type room struct {
	// quota for all snapshots, 0 for none.
	quota int64
	// size of the file system, and how much of it is free.
	size, free int64
	// reserve of the file system is left to others; 0 for none.
	reserve int64
	// used by complete snapshots.
	used int64
	// promised to downloads on their way, each as a whole.
	promised int64
	// missing is the part of promised that has no place on the disk yet.
	missing int64
}

// overQuota reports whether another snapshot of total bytes breaks the quota.
func (r room) overQuota(total int64) bool {
	return r.quota > 0 && r.used+r.promised+total > r.quota
}

// writableBytes is how much of the file system a snapshot of total bytes may have.
func (r room) writableBytes(total int64) int64 {
	free := r.free - r.missing
	if total > smallDownload {
		free -= r.reserve
	}
	return max(free, 0)
}

// hasRoom reports whether there is room for another snapshot of total bytes, of
// which missing are not on the disk.
func (r room) hasRoom(total, missing int64) bool {
	return !r.overQuota(total) && r.writableBytes(total) >= missing
}

// spaceError is the error for a snapshot that does not fit.
func (r room) spaceError(total, missing int64) error {
	if r.overQuota(total) {
		return &InsufficientSpaceError{Needed: total, Free: max(r.quota-r.used-r.promised, 0), Quota: true}
	}
	return &InsufficientSpaceError{Needed: missing, Free: r.writableBytes(total)}
}

// isAbove reports whether more than percent of the quota is in use or, where the
// store is to leave a reserve, less of the file system is free than FreeBelow.
func (r room) isAbove(percent int) bool {
	return r.quota > 0 && r.used+r.promised > percentOf(r.quota, percent) ||
		r.free < FreeBelow(percent, min(r.reserve, r.size))
}

// FreeBelow returns how much of a file system is free at a watermark, in bytes. With a
// reserve of a tenth of the file system, percent of it are then in use; with another reserve
// it is in proportion, so that 80 is twice the reserve and 70 is three times. Where nothing is
// to be left free, it is 0.
func FreeBelow(percent int, reserve int64) int64 { return 10 * percentOf(reserve, 100-percent) }

// withoutCandidate is the room once a candidate is evicted, as far as it is known without
// asking the file system.
func (r room) withoutCandidate(c candidate) room {
	if c.partial {
		r.promised -= c.bytes
		r.missing -= max(c.bytes-c.allocated, 0)
	} else {
		r.used -= c.bytes
	}
	return r
}

// roomLock is held while room is promised, so that processes do not promise the
// same bytes twice. Its holder waits for no other lock.
const roomLock = "room"

func (s *space) lockRoom() (*os.File, error) {
	return lockFile(filepath.Join(s.locks, roomLock), unix.LOCK_EX)
}

// fileSystem returns the size of the store's file system, and how much of it is
// free.
func (d directory) fileSystem() (size, free int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(d.root, &st); err != nil {
		return 0, 0, storeErrorf("asking for free space: %w", err)
	}
	return int64(st.Blocks) * st.Bsize, int64(st.Bavail) * st.Bsize, nil
}

// noInodes reports whether the file system takes no more files.
func (d directory) noInodes() bool {
	var st unix.Statfs_t
	return unix.Statfs(d.root, &st) == nil && st.Files > 0 && st.Ffree == 0
}

// Reserve makes room: for missing bytes that are still to be written in the
// file system, and for total bytes of the whole snapshot in the quota. It holds
// until the writer ends, against all processes, and replaces what was reserved
// before. What is not needed is evicted as far as necessary, and what is wanted
// (Options.Wanted) only for a writer that is Urgent. An *InsufficientSpaceError
// tells that there is no room even so. A writer does not wait for room: a
// download that gets none ends and gives back what it had, so that two halves
// of downloads never keep each other from ending.
func (w *Writer) Reserve(total, missing int64) error {
	s := w.store.space
	l, err := s.lockRoom()
	if err != nil {
		return err
	}
	defer unlockFile(l)
	r, others, err := s.measureRoom(w.key.ID())
	if err != nil {
		return err
	}
	if !r.hasRoom(total, missing) {
		if r, err = s.makeRoom(r, others, w.Urgent, func(r room) bool { return r.hasRoom(total, missing) }); err != nil {
			return err
		}
	}
	if !r.hasRoom(total, missing) {
		return r.spaceError(total, missing)
	}
	if err := w.recordReservation(total); err != nil {
		return s.spaceOr("reserving room", err, missing)
	}
	return nil
}

// measureRoom says how full the store is without the download of one snapshot. What
// is missing of the other downloads is taken to be all of them, which is quick.
func (s *space) measureRoom(without snapshot.ID) (room, []candidate, error) {
	r, others, err := s.measureReserved(without)
	if err != nil {
		return r, nil, err
	}
	if r.quota > 0 {
		r.used, err = s.usedBytes()
	}
	return r, others, err
}

// measureReserved is measureRoom without what complete snapshots use.
func (s *space) measureReserved(without snapshot.ID) (room, []candidate, error) {
	r := room{quota: s.options.Quota}
	partials, err := s.listPartials()
	if err != nil {
		return r, nil, err
	}
	var others []candidate
	for _, p := range partials {
		if p.id == without {
			continue
		}
		others = append(others, p)
		r.promised += p.bytes
	}
	r.missing = r.promised
	r.size, r.free, err = s.fileSystem()
	r.reserve = s.options.Reserve.Of(r.size)
	return r, others, err
}

// usedBytes is what the complete snapshots have, in bytes.
func (d directory) usedBytes() (sum int64, err error) {
	snapshots, err := d.completeSnapshots()
	for _, snapshot := range snapshots {
		sum += snapshot.Bytes
	}
	return sum, err
}

// makeRoom evicts what is not needed, least recently used first, and then, if
// that is urgent, what is wanted, until enough says so; it returns the room there
// is then. It evicts nothing when that would not be enough.
func (s *space) makeRoom(r room, partials []candidate, urgent bool, enough func(room) bool) (room, error) {
	// Exact now: what the others have allocated is not free any more.
	r.missing = s.missingBytes(partials)
	if enough(r) {
		return r, nil
	}
	candidates, used, err := s.evictionCandidates(partials)
	if err != nil {
		return r, err
	}
	r.used = used
	if !urgent {
		candidates = slices.DeleteFunc(candidates, func(c candidate) bool { return c.wanted })
	}
	best := r
	candidates, err = s.filterEvictable(candidates)
	if err != nil {
		return r, err
	}
	for _, c := range candidates {
		best = best.withoutCandidate(c)
		best.free += c.bytes
	}
	if !enough(best) {
		return r, nil
	}
	for _, c := range candidates {
		if enough(r) {
			break
		}
		evicted, err := s.evictCandidate(c)
		if err != nil {
			return r, err
		}
		if evicted {
			r = r.withoutCandidate(c)
		}
		if _, r.free, err = s.fileSystem(); err != nil {
			return r, err
		}
	}
	return r, nil
}

// missingBytes is what the downloads have been promised and have not allocated.
func (s *space) missingBytes(partials []candidate) (sum int64) {
	for _, p := range partials {
		sum += max(p.bytes-allocatedBytes(s.partialDir(p.id)), 0)
	}
	return sum
}

// filterEvictable leaves out the candidates that are in use.
func (s *space) filterEvictable(candidates []candidate) (list []candidate, err error) {
	for _, c := range candidates {
		l, err := s.claimCandidate(c)
		if err != nil {
			return nil, err
		}
		if l != nil {
			l.close()
			list = append(list, c)
		}
	}
	return list, nil
}

// reservedName is the file in a download's directory with the bytes that were
// promised to it.
const reservedName = "reserved"

// recordReservation writes down what was reserved. One write of a fixed length is never
// seen by halves; readers hold the room's lock.
func (w *Writer) recordReservation(total int64) error {
	f, err := os.OpenFile(filepath.Join(w.dir, reservedName), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%020d\n", total)
	return errors.Join(err, f.Close())
}

// readReservation reads what was reserved for a download, 0 where nothing is yet.
func readReservation(dir string) int64 {
	text, err := os.ReadFile(filepath.Join(dir, reservedName))
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0
	}
	return max(n, 0)
}

// allocatedBytes is what the files below a directory have on the disk, in bytes.
// What cannot be read counts as nothing: that errs on the side of room.
func allocatedBytes(dir string) (sum int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // it may just have gone
		}
		info, err := d.Info()
		if err != nil {
			return nil //nolint:nilerr // it may just have gone
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			sum += st.Blocks * 512
		}
		return nil
	})
	return sum
}
