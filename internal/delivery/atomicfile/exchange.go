// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package atomicfile

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Exchange exchanges a, in the directory that is open as da, with b in db. A file
// system that cannot exchange two names has b renamed away before: then there is a
// moment without it, and a crash in it leaves b beside a, with "-aside" behind
// a's name.
func Exchange(da int, a string, db int, b string) (moment bool, err error) {
	err = unix.Renameat2(da, a, db, b, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP) {
		return true, exchangeByRename(da, a, db, b)
	}
	return false, err
}

// exchangeByRename exchanges two names one after the other.
func exchangeByRename(da int, a string, db int, b string) error {
	moved := a + "-aside"
	if err := unix.Renameat(db, b, da, moved); err != nil {
		return err
	}
	if err := unix.Renameat(da, a, db, b); err != nil {
		return errors.Join(err, unix.Renameat(da, moved, db, b))
	}
	return unix.Renameat(da, moved, da, a)
}
