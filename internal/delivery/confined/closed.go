// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package confined

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// reopens reports whether what an owner closed to itself was in the way, and is open again:
// the directory, and, unless it is "", what has a name in it. A process of the same user may
// take its rights on what it owns away; that must not make it last for ever.
func reopens(d *Dir, err error, name string) bool {
	if !errors.Is(err, unix.EACCES) {
		return false
	}
	opened := false
	if st, err := d.Stat(); err == nil && isClosed(st) {
		opened = unix.Fchmod(d.fd(), openMode(st)) == nil
	}
	if name == "" {
		return opened
	}
	if st, err := d.Lstat(name); err == nil && isClosed(st) {
		opened = openToOwner(d, name) == nil || opened
	}
	return opened
}

// isClosed reports whether a directory, or a file, is closed to its owner.
func isClosed(st unix.Stat_t) bool { return st.Mode&0o777 != openMode(st) }

// openMode is the mode with the bits that let the owner do everything. What is neither a
// directory nor a file stays as it is.
func openMode(st unix.Stat_t) uint32 {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return st.Mode&0o777 | 0o700
	case unix.S_IFREG:
		return st.Mode&0o777 | 0o600
	}
	return st.Mode & 0o777
}

// openToOwner opens a directory or a file to its owner, through itself and not its name.
func openToOwner(d *Dir, name string) error {
	fd, err := unix.Openat(d.fd(), name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: d.file.Name() + "/" + name, Err: err}
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if err == nil && isClosed(st) {
		err = unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), openMode(st))
	}
	if err != nil {
		return &fs.PathError{Op: "chmod", Path: d.file.Name() + "/" + name, Err: err}
	}
	return nil
}
