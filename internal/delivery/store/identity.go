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
	"sync"

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

// presence keeps the directory in being while a process has the store open, and says
// whether the machine went down under it.
type presence struct {
	directory
	space *space // says why there is no room for a file

	mu   sync.Mutex
	open *os.File // locked, shared
}

// ID names the store. It changes when the store is deleted and made again.
func (s *Store) ID() (string, error) {
	if err := s.presence.ensureExists(); err != nil {
		return "", err
	}
	id, err := s.readID()
	if err != nil {
		return "", storeErrorf("reading the store's ID: %w", err)
	}
	return id, nil
}

func (d directory) readID() (string, error) {
	text, err := os.ReadFile(d.idFile())
	if err != nil {
		return "", err
	}
	id := strings.TrimSpace(string(text))
	return id, checkID(id)
}

func checkID(id string) error {
	if raw, err := hex.DecodeString(id); err != nil || len(raw) != idBytes {
		return fmt.Errorf("%.80q is no ID", id)
	}
	return nil
}

// ensureExists makes the store again where it was deleted under this process.
func (p *presence) ensureExists() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hasLayout() {
		return nil
	}
	unlockFile(p.open)
	p.open = nil
	return p.initStore()
}

// hasLayout reports whether everything is there that Open made.
func (p *presence) hasLayout() bool {
	for _, dir := range []string{p.snapshots, p.marks, string(p.trash)} {
		if !isDir(dir) {
			return false
		}
	}
	_, err := p.readID()
	return err == nil && pathExists(p.saltFile()) && p.open != nil && isCurrentLock(p.open, filepath.Join(p.locks, openLock))
}

// createLayout makes the directories and the ID where they are missing. The caller has the
// lock of initStore, so that processes do not make two stores of one.
func (p *presence) createLayout() error {
	_, err := p.readID()
	if err != nil || !isDir(p.snapshots) {
		// Without the ID first: what it was the name of is gone.
		if err := os.Remove(p.idFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return storeErrorf("opening the store: %w", err)
		}
	}
	for _, dir := range []string{p.snapshots, p.marks, string(p.trash)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return storeErrorf("opening the store: %w", err)
		}
	}
	if err := p.laySalt(); err != nil {
		return p.space.spaceOr("opening the store", err, 0)
	}
	if pathExists(p.idFile()) {
		return nil
	}
	if err := atomicfile.Write(p.idFile(), []byte(newID()+"\n"), 0o644); err != nil {
		return p.space.spaceOr("opening the store", err, 0)
	}
	return nil
}

func newID() string {
	id := make([]byte, idBytes)
	_, _ = rand.Read(id) // never fails
	return hex.EncodeToString(id)
}

// makeLocks makes the directory of locks, with which everything begins.
func (p *presence) makeLocks() error {
	err := os.MkdirAll(p.locks, 0o755)
	if errors.Is(err, fs.ErrNotExist) && isDir(p.root+"/.") {
		// There is a directory in which nothing can be made: the kernel keeps it
		// for those who have it mounted or open.
		return storeErrorf("opening the store: %w: start the pod again", ErrGone)
	}
	if err != nil {
		return storeErrorf("opening the store: %w", err)
	}
	return nil
}
