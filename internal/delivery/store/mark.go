// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
)

// marksDir holds the marks. A mark is what items call the bytes of a snapshot
// (package content), so that a component that knows an item, but no source, can
// find out whether the bytes are here. Several items may call the same bytes
// differently. A mark is the name of an empty file, because any process can
// write it at once, without a lock.
const marksDir = "marks"

// markTTL is how long a mark stays without its snapshot: who is about to
// download marks first.
const markTTL = time.Hour

// maxMark is the length of the longest mark.
const maxMark = 64

func validMark(mark string) bool {
	return mark != "" && len(mark) <= maxMark && strings.Trim(mark, "0123456789abcdef") == ""
}

func (d directory) markFile(id snapshot.ID, mark string) string {
	return filepath.Join(d.marks, string(id)+"."+mark)
}

// Mark notes what an item calls a snapshot's bytes: up to 64 hex digits. It may
// be called before the snapshot is there, and costs next to nothing where the
// mark is there already. It goes with the snapshot.
func (s *Store) Mark(id snapshot.ID, mark string) error {
	if !id.Valid() || !validMark(mark) {
		return storeErrorf("marking a snapshot: %q is no mark of %q", mark, id)
	}
	path := s.markFile(id, mark)
	if pathExists(path) {
		return nil
	}
	err := createFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = s.presence.ensureExists(); err == nil {
			err = createFile(path)
		}
	}
	if err != nil {
		return s.space.spaceOr("marking a snapshot", err, 0)
	}
	return nil
}

func createFile(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

// listMarks lists all marks, sorted.
func (d directory) listMarks() (map[snapshot.ID][]string, error) {
	names, err := os.ReadDir(d.marks)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, storeErrorf("listing marks: %w", err)
	}
	marks := make(map[snapshot.ID][]string, len(names))
	for _, name := range names {
		if id, mark, ok := strings.Cut(name.Name(), "."); ok && snapshot.ID(id).Valid() && validMark(mark) {
			marks[snapshot.ID(id)] = append(marks[snapshot.ID(id)], mark)
		}
	}
	return marks, nil
}

// removeMarks removes the marks of a snapshot that is gone. One that stays is swept
// later.
func (d directory) removeMarks(id snapshot.ID) {
	marks, _ := d.listMarks()
	for _, mark := range marks[id] {
		_ = os.Remove(d.markFile(id, mark))
	}
}

// sweepMarks removes the marks of what is neither there nor about to be.
func (s *space) sweepMarks() error {
	marks, err := s.listMarks()
	if err != nil {
		return err
	}
	for id, list := range marks {
		if isDir(s.snapshotDir(id)) || isDir(s.partialDir(id)) {
			continue
		}
		for _, mark := range list {
			if path := s.markFile(id, mark); time.Since(modTime(path)) > markTTL {
				_ = os.Remove(path)
			}
		}
	}
	return nil
}
