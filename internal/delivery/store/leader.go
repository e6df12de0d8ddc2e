// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/filelock"
)

// Turn is the right to do what one of the processes of a store does for all. The
// kernel gives it to another one when this one dies.
type Turn struct {
	file *os.File
	path string
}

// TakeTurn takes the turn of a name, "<name>" in the directory of locks. It
// returns nil if another process has it.
func (s *Store) TakeTurn(name string) (*Turn, error) {
	if err := s.presence.ensureExists(); err != nil {
		return nil, err
	}
	path := filepath.Join(s.locks, name)
	f, err := lockFile(path, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, filelock.ErrHeld) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &Turn{file: f, path: path}, nil
}

// Current reports whether the turn still keeps others from taking it. It does not
// once the store was deleted.
func (t *Turn) Current() bool { return isCurrentLock(t.file, t.path) }

// Close ends the turn.
func (t *Turn) Close() { unlockFile(t.file) }
