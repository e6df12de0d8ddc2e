// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package filelock

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrHeld reports that the lock is held through another open file.
var ErrHeld = errors.New("locked by another")

// Lock applies an operation of flock(2) to an open file, such as LOCK_EX or
// LOCK_SH|LOCK_NB, and does so again while a signal interrupts it. With LOCK_NB it
// returns ErrHeld at once where the lock is held; without, it waits, and the wait
// cannot be ended.
func Lock(f *os.File, operation int) error {
	for {
		err := unix.Flock(int(f.Fd()), operation)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return ErrHeld
		default:
			return fmt.Errorf("locking %s: %w", f.Name(), err)
		}
	}
}
