// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package confined

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/filelock"
)

// Lock is a lock file that this process holds. Where a link, a pipe or a directory has
// the name, which no other process can hold either, there is no file.
type Lock struct{ file *os.File }

// Release lets go of the lock; nil is none.
func (l *Lock) Release() {
	if l != nil && l.file != nil {
		_ = l.file.Close()
	}
}

// TryLock takes the lock of a name, which it makes where it is missing, without
// waiting. It returns filelock.ErrHeld where another process has it, or keeps the file
// from being opened.
func (d *Dir) TryLock(name string) (*Lock, error) {
	return d.lock(name, unix.O_RDWR|unix.O_CREAT, unix.LOCK_EX|unix.LOCK_NB)
}

// IsLocked reports whether another process holds the lock of a name: any lock with
// unix.LOCK_EX, only an exclusive one with unix.LOCK_SH. It makes no file, and holds such a
// lock itself for a moment. What is missing, or can be no lock, is not held.
func (d *Dir) IsLocked(name string, against int) (bool, error) {
	l, err := d.lock(name, unix.O_RDONLY, against|unix.LOCK_NB)
	l.Release()
	switch {
	case errors.Is(err, filelock.ErrHeld):
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	}
	return false, err
}

func (d *Dir) lock(name string, flags, how int) (*Lock, error) {
	for range maxLockTries {
		f, err := d.openRegular(name, flags)
		if reopens(d, err, name) {
			f, err = d.openRegular(name, flags)
		}
		switch {
		case errors.Is(err, ErrKind):
			return &Lock{}, nil
		case errors.Is(err, ErrBusy):
			return nil, filelock.ErrHeld
		case err != nil:
			return nil, err
		}
		if err := filelock.Lock(f, how); err != nil {
			_ = f.Close()
			return nil, err
		}
		if d.isNamed(f, name) {
			return &Lock{f}, nil
		}
		_ = f.Close()
	}
	return nil, filelock.ErrHeld
}

// maxLockTries bounds how often a lock's file is replaced while it is taken.
const maxLockTries = 8

// isNamed reports whether a name is still that of an open file.
func (d *Dir) isNamed(f *os.File, name string) bool {
	var held unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &held); err != nil {
		return false
	}
	named, err := d.Lstat(name)
	return err == nil && named.Dev == held.Dev && named.Ino == held.Ino
}
