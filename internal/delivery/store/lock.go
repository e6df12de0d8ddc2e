// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// errBusy: somebody else has the lock.
var errBusy = errors.New("locked")

// lock opens a file and locks it with flock(2). Lock files come and go, so a
// lock counts only if the file is still the one of that name.
func lock(path string, how int) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, failf("opening a lock: %w", err)
		}
		if err := flock(f, how); err != nil {
			f.Close()
			return nil, err
		}
		if current(f, path) {
			return f, nil
		}
		f.Close()
	}
}

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return errBusy
		case err != nil:
			return failf("locking %s: %w", f.Name(), err)
		default:
			return nil
		}
	}
}

func current(f *os.File, path string) bool {
	held, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(held, named)
}

// waitLock takes an exclusive lock, and calls waiting before it waits for one.
// flock(2) cannot be interrupted, so a waiter whose context ends is left behind;
// it lets go of the lock when it gets it.
func waitLock(ctx context.Context, path string, waiting func()) (*os.File, error) {
	f, err := lock(path, unix.LOCK_EX|unix.LOCK_NB)
	if !errors.Is(err, errBusy) {
		return f, err
	}
	waiting()
	type result struct {
		f   *os.File
		err error
	}
	done := make(chan result, 1)
	go func() {
		f, err := lock(path, unix.LOCK_EX)
		done <- result{f, err}
	}()
	select {
	case r := <-done:
		return r.f, r.err
	case <-ctx.Done():
		go func() {
			if r := <-done; r.f != nil {
				r.f.Close()
			}
		}()
		return nil, context.Cause(ctx)
	}
}

// syncDir makes the names in a directory durable.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
