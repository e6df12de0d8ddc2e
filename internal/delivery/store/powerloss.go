// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/atomicfile"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/filelock"
)

// A snapshot's bytes are flushed before it appears, so a crash of the machine
// loses nothing of it as long as the disk keeps what it said it had. Some do
// not. So what was committed shortly before a crash is read once more, against
// its digests, before it is served. The file "boot" says which boot the store
// was last used in and whether it was left in order; its time is the last sign
// of life in that boot.
const (
	bootName = "boot"
	// bootLock guards the file, openLock is held, shared, while a store is open.
	bootLock = "boot"
	openLock = "open"
	// cleanNote stands behind the boot when the last user had closed the store.
	cleanNote = " clean"
	// suspectSuffix marks, beside the locks, a snapshot that is to be read.
	suspectSuffix = ".suspect"
	// settleSuffix is the lock of who reads it.
	settleSuffix = ".settle"
	// doubt is how long before the last sign of life a commit is in doubt:
	// longer than a disk holds back anything.
	doubt = 10 * time.Minute
)

// InDoubt reports whether a snapshot was committed so shortly before the machine
// went down that it is to be read before it is served. Verify does that.
func (s *Store) InDoubt(id snapshot.ID) bool { return pathExists(s.suspectMark(id)) }

// bootID changes when the machine starts.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}

// initStore makes the layout where it is missing, finds out whether the machine went
// down under the store, and marks what is in doubt then.
func (p *presence) initStore() error {
	if err := p.makeLocks(); err != nil {
		return err
	}
	guard, err := lockFile(filepath.Join(p.locks, bootLock), unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer unlockFile(guard)
	if err := p.createLayout(); err != nil {
		return err
	}
	path := p.bootFile()
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return storeErrorf("opening the store: %w", err)
	}
	was, clean := strings.CutSuffix(strings.TrimSpace(string(text)), cleanNote)
	now := bootID()
	if was != "" && was != now && !clean {
		if err := p.markInDoubt(modTime(path).Add(-doubt)); err != nil {
			return err
		}
	}
	if was != now || clean {
		if err := atomicfile.Write(path, []byte(now+"\n"), 0o644); err != nil {
			return p.space.spaceOr("opening the store", err, 0)
		}
	}
	p.open, err = lockFile(filepath.Join(p.locks, openLock), unix.LOCK_SH)
	return err
}

// markInDoubt marks the snapshots that were committed after a time.
func (p *presence) markInDoubt(after time.Time) error {
	ids, _, err := p.listIDs()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if !modTime(filepath.Join(p.snapshotDir(id), snapshot.ManifestName)).After(after) {
			continue
		}
		if err := os.WriteFile(p.suspectMark(id), nil, 0o600); err != nil {
			return storeErrorf("marking a snapshot for verification: %w", err)
		}
	}
	// Before the file of the boot says that everything in doubt is marked.
	if err := atomicfile.SyncDir(p.locks); err != nil {
		return storeErrorf("marking snapshots for verification: %w", err)
	}
	return nil
}

// signOfLife says that the machine runs.
func (p *presence) signOfLife() error {
	now := time.Now()
	err := os.Chtimes(p.bootFile(), now, now)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return storeErrorf("marking the store as used: %w", err)
	}
	return nil
}

// Close ends the use of the store by this process. The last one to close it
// leaves it in order, so that nothing is in doubt after the machine's next
// start. Leases and writers stay; a Store must not be used for new ones.
func (s *Store) Close() error { return s.presence.end() }

func (p *presence) end() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil || !isCurrentLock(p.open, filepath.Join(p.locks, openLock)) {
		// It was deleted: what has its name now is not what this process used.
		unlockFile(p.open)
		p.open = nil
		return nil
	}
	guard, err := lockFile(filepath.Join(p.locks, bootLock), unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer unlockFile(guard)
	unlockFile(p.open)
	p.open = nil
	last, err := lockFile(filepath.Join(p.locks, openLock), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, filelock.ErrHeld) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unlockFile(last)
	if err := syncFS(p.root); err != nil {
		return storeErrorf("closing the store: %w", err)
	}
	path := p.bootFile()
	if err := atomicfile.Write(path, []byte(bootID()+cleanNote+"\n"), 0o644); err != nil {
		return p.space.spaceOr("closing the store", err, 0)
	}
	return nil
}

// syncFS flushes the file system that a directory is on.
func syncFS(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Syncfs(int(d.Fd()))
}

// resolveDoubt verifies a snapshot that is in doubt, once for all processes. One that
// fails is taken away and reported as ErrDamaged.
func (v verifier) resolveDoubt(ctx context.Context, id snapshot.ID) error {
	mark := v.suspectMark(id)
	if !pathExists(mark) {
		return nil
	}
	var f *os.File
	err := awaitLock(ctx, func() (err error) {
		f, err = lockFile(filepath.Join(v.locks, string(id)+settleSuffix), unix.LOCK_EX|unix.LOCK_NB)
		return err
	})
	if err != nil {
		return err
	}
	defer unlockFile(f)
	if !pathExists(mark) {
		return nil // another process has read it meanwhile, or taken it away
	}
	if err := v.verifySnapshot(ctx, id, all); err != nil {
		return err
	}
	return v.clearDoubt(id)
}

// clearDoubt marks a snapshot as verified.
func (d directory) clearDoubt(id snapshot.ID) error {
	if err := os.Remove(d.suspectMark(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return storeErrorf("marking a snapshot as verified: %w", err)
	}
	return nil
}
