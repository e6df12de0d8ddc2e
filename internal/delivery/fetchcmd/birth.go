// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package fetchcmd

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/atomicfile"
)

// birth names one directory of a file system for good: the number of an inode,
// which file systems give to the next one as soon as it is free, with the moment in
// which it was made. The number of the device is no part of it: it may be another
// one after each mount.
type birth struct {
	Inode uint64 `json:"inode"`
	// Seconds and Nanoseconds since 1970.
	Seconds     int64  `json:"seconds"`
	Nanoseconds uint32 `json:"nanoseconds"`
}

// birthOf looks at a directory. Where the file system does not say when it was
// made, the time of the last change of the directory itself stands for that: a
// directory that was changed since is then no longer recognized, and is left
// alone.
func birthOf(dir string) (birth, error) {
	var x unix.Statx_t
	const want = unix.STATX_INO | unix.STATX_BTIME | unix.STATX_MTIME
	if err := unix.Statx(unix.AT_FDCWD, dir, unix.AT_SYMLINK_NOFOLLOW, want, &x); err != nil {
		return birth{}, fmt.Errorf("looking at %s: %w", dir, err)
	}
	b := birth{Inode: x.Ino, Seconds: x.Btime.Sec, Nanoseconds: x.Btime.Nsec}
	if x.Mask&unix.STATX_BTIME == 0 {
		b.Seconds, b.Nanoseconds = x.Mtime.Sec, x.Mtime.Nsec
	}
	return b, nil
}

// readBirths returns the directories that may be at dir.
func (t *target) readBirths() (births []birth) {
	text, err := os.ReadFile(t.note)
	if err != nil || json.Unmarshal(text, &births) != nil {
		return nil
	}
	return births
}

// isOurs reports whether the directory at dir was made by fetch.
func (t *target) isOurs() (bool, error) {
	one, err := birthOf(t.dir)
	if err != nil {
		return false, err
	}
	return t.isBesideNote() && (slices.Contains(t.readBirths(), one) || t.isOld(one)), nil
}

// isBesideNote reports whether the directory is in the file system of the note, of
// which the note tells.
func (t *target) isBesideNote() bool {
	var dir, note unix.Stat_t
	return unix.Lstat(t.dir, &dir) == nil && unix.Lstat(t.note, &note) == nil && dir.Dev == note.Dev
}

// isOld reports whether a fetch of version 0.1 made a directory: it wrote down
// numbers of inodes only, and did so after it had made the directory. One that
// got the number of another later is younger than the note.
func (t *target) isOld(one birth) bool {
	var inodes []uint64
	text, err := os.ReadFile(t.note)
	if err != nil || json.Unmarshal(text, &inodes) != nil || !slices.Contains(inodes, one.Inode) {
		return false
	}
	info, err := os.Stat(t.note)
	return err == nil && time.Unix(one.Seconds, int64(one.Nanoseconds)).Before(info.ModTime())
}

// recordBirths writes down that directories are ours.
func (t *target) recordBirths(births ...birth) error {
	text, err := json.Marshal(births)
	if err != nil {
		return err
	}
	return atomicfile.Write(t.note, text, 0o600)
}
