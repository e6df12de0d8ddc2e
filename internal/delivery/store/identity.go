// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/kuda-io/kuda/internal/delivery/atomicfile"
)

// A store has an ID of its own, made with its directories: what was known of a
// store with another ID says nothing of this one. The store may be deleted
// while processes have it open. Then they make it anew, empty, with another ID,
// when they next download, tidy or take stock.

// idName is the file with the store's ID.
const idName = "id"

// idBytes is how many random bytes an ID has.
const idBytes = 16

// ErrGone tells that the store's directory was deleted, and cannot be made again
// from here: what is mounted has no name any more.
var ErrGone = errors.New("the store's directory was deleted")

// ID names the store. It changes when the store is deleted and made again.
func (s *Store) ID() (string, error) {
	if err := s.ensureExists(); err != nil {
		return "", err
	}
	id, err := s.readID()
	if err != nil {
		return "", storeErrorf("reading the store's ID: %w", err)
	}
	return id, nil
}

func (s *Store) readID() (string, error) {
	text, err := os.ReadFile(s.idFile())
	if err != nil {
		return "", err
	}
	id := strings.TrimSpace(string(text))
	if raw, err := hex.DecodeString(id); err != nil || len(raw) != idBytes {
		return "", fmt.Errorf("%q is no ID", id)
	}
	return id, nil
}

func (s *Store) idFile() string { return filepath.Join(s.options.Root, idName) }

// ensureExists makes the store again where it was deleted under this process.
func (s *Store) ensureExists() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hasLayout() {
		return nil
	}
	unlockFile(s.open)
	s.open = nil
	return s.initStore()
}

// hasLayout reports whether everything is there that Open made.
func (s *Store) hasLayout() bool {
	for _, dir := range []string{s.snapshots, s.marks, s.trash} {
		if !isDir(dir) {
			return false
		}
	}
	_, err := s.readID()
	return err == nil && pathExists(s.saltFile()) && s.open != nil && isCurrentLock(s.open, filepath.Join(s.locks, openLock))
}

// createLayout makes the directories and the ID where they are missing. The caller has the
// lock of initStore, so that processes do not make two stores of one.
func (s *Store) createLayout() error {
	_, err := s.readID()
	if err != nil || !isDir(s.snapshots) {
		// Without the ID first: what it was the name of is gone.
		if err := os.Remove(s.idFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return storeErrorf("opening the store: %w", err)
		}
	}
	for _, dir := range []string{s.snapshots, s.marks, s.trash} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return storeErrorf("opening the store: %w", err)
		}
	}
	if err := s.laySalt(); err != nil {
		return s.spaceOr("opening the store", err, 0)
	}
	if pathExists(s.idFile()) {
		return nil
	}
	if err := atomicfile.Write(s.idFile(), []byte(newID()+"\n"), 0o644); err != nil {
		return s.spaceOr("opening the store", err, 0)
	}
	return nil
}

func newID() string {
	id := make([]byte, idBytes)
	_, _ = rand.Read(id) // never fails
	return hex.EncodeToString(id)
}

// makeLocks makes the directory of locks, with which everything begins.
func (s *Store) makeLocks() error {
	err := os.MkdirAll(s.locks, 0o755)
	if errors.Is(err, fs.ErrNotExist) && isDir(s.options.Root+"/.") {
		// There is a directory in which nothing can be made: the kernel keeps it
		// for those who have it mounted or open.
		return storeErrorf("opening the store: %w: start the pod again", ErrGone)
	}
	if err != nil {
		return storeErrorf("opening the store: %w", err)
	}
	return nil
}
