// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package filelock

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func openFile(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestKindsExcludeEachOther(t *testing.T) {
	for _, c := range []struct {
		held, wanted int
		want         error
	}{
		{unix.LOCK_EX, unix.LOCK_EX, ErrHeld},
		{unix.LOCK_EX, unix.LOCK_SH, ErrHeld},
		{unix.LOCK_SH, unix.LOCK_EX, ErrHeld},
		{unix.LOCK_SH, unix.LOCK_SH, nil},
	} {
		path := filepath.Join(t.TempDir(), "lock")
		if err := Lock(openFile(t, path), c.held|unix.LOCK_NB); err != nil {
			t.Fatal(err)
		}
		if err := Lock(openFile(t, path), c.wanted|unix.LOCK_NB); !errors.Is(err, c.want) {
			t.Errorf("operation %d while %d is held: %v, want %v", c.wanted, c.held, err, c.want)
		}
	}
}

func TestLockWaitsForTheHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	holder, waiter := openFile(t, path), openFile(t, path)
	if err := Lock(holder, unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	locked := make(chan error, 1)
	go func() { locked <- Lock(waiter, unix.LOCK_EX) }()
	select {
	case err := <-locked:
		t.Fatalf("two hold the lock: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	if err := holder.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-locked; err != nil {
		t.Error(err)
	}
}

func TestWhatCannotBeLockedIsAnError(t *testing.T) {
	f := openFile(t, filepath.Join(t.TempDir(), "lock"))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Lock(f, unix.LOCK_SH|unix.LOCK_NB); err == nil || errors.Is(err, ErrHeld) {
		t.Errorf("a closed file: %v", err)
	}
}
