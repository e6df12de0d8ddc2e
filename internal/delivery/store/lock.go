// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/filelock"
)

// lockFile opens a file and locks it with flock(2). Lock files come and go, so a
// lock counts only if the file is still the one of that name.
func lockFile(path string, how int) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, storeErrorf("opening a lock: %w", err)
		}
		if err := filelock.Lock(f, how); err != nil {
			f.Close()
			if errors.Is(err, filelock.ErrHeld) {
				return nil, err
			}
			return nil, storeErrorf("%w", err)
		}
		if isCurrentLock(f, path) {
			return f, nil
		}
		f.Close()
	}
}

// unlockFile closes a lock's file; nil is none.
func unlockFile(f *os.File) {
	if f != nil {
		f.Close()
	}
}

func isCurrentLock(f *os.File, path string) bool {
	held, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(path)
	return err == nil && os.SameFile(held, named)
}

// The pauses between two tries to get a lock that another process has.
const (
	firstPause = time.Millisecond
	lastPause  = 250 * time.Millisecond
)

// nextPause is how long to wait after having waited for so long: a fiftieth of it,
// so that a short wait ends quickly and a long one costs next to nothing.
func nextPause(waited time.Duration) time.Duration {
	return min(max(waited/50, firstPause), lastPause)
}

// awaitLock calls try until it succeeds, fails with another error than filelock.ErrHeld, or
// the context ends. It tries again and again because flock(2) cannot be
// interrupted: a caller inside of it would get the lock long after its context ended.
func awaitLock(ctx context.Context, try func() error) error {
	return (&arrivals{pause: nextPause}).awaitLock(ctx, try)
}

// awaitLock is the function awaitLock that also tries at once when a snapshot arrives.
func (a *arrivals) awaitLock(ctx context.Context, try func() error) error {
	started := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
		case <-a.came:
		}
		if err := try(); !errors.Is(err, filelock.ErrHeld) {
			return err
		}
		// Waiters that began together must not stay in step.
		p := a.pause(time.Since(started))
		timer.Reset(p/2 + rand.N(p))
	}
}

func pathExists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// isDir reports whether there is a directory, not a link to one.
func isDir(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.IsDir()
}
