// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package confined

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Errors about what has a name. Errors of the kernel, such as fs.ErrNotExist, are
// passed on.
var (
	// ErrKind says that a name is not of what was asked for: a link or a pipe in the
	// place of a file, a file in that of a directory.
	ErrKind = errors.New("not of the expected kind")
	// ErrName says that a text can be no name in a directory.
	ErrName = errors.New("not a name in a directory")
	// ErrBusy says that a process keeps a file from being opened for now, by a lease on it
	// (fcntl(2), F_SETLEASE).
	ErrBusy = errors.New("a process has a lease on it")
	// ErrTooLarge says that a file has more bytes than are read of it.
	ErrTooLarge = errors.New("larger than expected")
)

// maxName is the longest name in a directory, in bytes.
const maxName = 255

// Dir is an open directory.
type Dir struct{ file *os.File }

// Open opens the directory at a path. The path itself is trusted: the links in it are
// followed.
func Open(path string) (*Dir, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return &Dir{os.NewFile(uintptr(fd), path)}, nil
}

// Close closes the directory. What was opened below it stays open.
func (d *Dir) Close() { _ = d.file.Close() }

// Path is where the directory was when it was opened; for messages only.
func (d *Dir) Path() string { return d.file.Name() }

func checkName(name string) error {
	if name == "" || name == "." || name == ".." || len(name) > maxName || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("%.80q: %w", name, ErrName)
	}
	return nil
}

// openAt opens a name in the directory, never through a link and never waiting.
func (d *Dir) openAt(name string, flags int, mode uint32) (*os.File, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	path := d.file.Name() + "/" + name
	for {
		fd, err := unix.Openat(d.fd(), name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, mode)
		switch {
		case err == nil:
			return os.NewFile(uintptr(fd), path), nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return nil, &fs.PathError{Op: "open", Path: path, Err: ErrBusy}
		case errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.EISDIR), errors.Is(err, unix.ENXIO):
			return nil, &fs.PathError{Op: "open", Path: path, Err: ErrKind}
		default:
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

// fd is the directory's number. It is only used while the Dir is open.
func (d *Dir) fd() int { return int(d.file.Fd()) }

// Number is that of the open file, for as long as the Dir is open.
func (d *Dir) Number() int { return d.fd() }

// Dir opens a directory in this one, or one further below when there are more names. What
// its owner closed to itself is opened to it again.
func (d *Dir) Dir(names ...string) (*Dir, error) {
	at := d
	for _, name := range names {
		f, err := at.openAt(name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if reopens(at, err, name) {
			f, err = at.openAt(name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		}
		if at != d {
			at.Close()
		}
		if err != nil {
			return nil, err
		}
		at = &Dir{f}
	}
	return at, nil
}

// File opens a regular file for reading.
func (d *Dir) File(name string) (*os.File, error) { return d.openRegular(name, unix.O_RDONLY) }

func (d *Dir) openRegular(name string, flags int) (*os.File, error) {
	// Before it is opened: what opening does to a device is up to the device.
	if info, err := d.Lstat(name); err == nil && info.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, &fs.PathError{Op: "open", Path: d.file.Name() + "/" + name, Err: ErrKind}
	}
	f, err := d.openAt(name, flags, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: f.Name(), Err: ErrKind}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// ReadFile reads a regular file of at most so many bytes.
func (d *Dir) ReadFile(name string, most int64) ([]byte, error) {
	f, err := d.File(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = &fs.PathError{Op: "read", Path: f.Name(), Err: ErrTooLarge}
	}
	return text, err
}

// Lstat looks at a name in the directory.
func (d *Dir) Lstat(name string) (unix.Stat_t, error) {
	var st unix.Stat_t
	if err := checkName(name); err != nil {
		return st, err
	}
	if err := unix.Fstatat(d.fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return st, &fs.PathError{Op: "lstat", Path: d.file.Name() + "/" + name, Err: err}
	}
	return st, nil
}

// Stat looks at the directory itself.
func (d *Dir) Stat() (unix.Stat_t, error) {
	var st unix.Stat_t
	if err := unix.Fstat(d.fd(), &st); err != nil {
		return st, &fs.PathError{Op: "stat", Path: d.file.Name(), Err: err}
	}
	return st, nil
}

// Born returns when a directory was made, in nanoseconds since 1970: the number of its
// inode may have been another one's before, and its other times are its owner's to set. 0:
// the file system does not say.
func Born(d *Dir) int64 {
	var st unix.Statx_t
	if err := unix.Statx(d.fd(), "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &st); err != nil || st.Mask&unix.STATX_BTIME == 0 {
		return 0
	}
	return st.Btime.Sec*1e9 + int64(st.Btime.Nsec)
}

// IsDir reports whether a name is that of a directory, not of a link to one.
func (d *Dir) IsDir(name string) bool {
	st, err := d.Lstat(name)
	return err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR
}

// Readlink returns where a link leads, without going there.
func (d *Dir) Readlink(name string) (string, error) {
	if err := checkName(name); err != nil {
		return "", err
	}
	buffer := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(d.fd(), name, buffer)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: d.file.Name() + "/" + name, Err: err}
	}
	return string(buffer[:n]), nil
}

// Entry is a name in a directory.
type Entry struct {
	Name string
	// Dir: it was that of a directory.
	Dir bool
}

// List calls each for at most so many names, in no order, until it returns false. It
// returns false when there are more.
func (d *Dir) List(most int, each func(Entry) bool) (complete bool, err error) {
	// Of its own, because the place in a directory belongs to the open file.
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC
	fd, err := unix.Openat(d.fd(), ".", flags, 0)
	if reopens(d, err, "") {
		fd, err = unix.Openat(d.fd(), ".", flags, 0)
	}
	if err != nil {
		return false, &fs.PathError{Op: "open", Path: d.file.Name(), Err: err}
	}
	f := os.NewFile(uintptr(fd), d.file.Name())
	defer f.Close()
	for seen := 0; ; {
		names, err := f.ReadDir(256)
		for _, name := range names {
			if seen++; seen > most {
				return false, nil
			}
			if !each(Entry{Name: name.Name(), Dir: d.isListedDir(name)}) {
				return true, nil
			}
		}
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// isListedDir reports whether a listed name is that of a directory. Some file systems
// list names without their kinds; then it is looked up by d, not by a path.
func (d *Dir) isListedDir(name fs.DirEntry) bool {
	if name.Type() != 0 && name.Type() != fs.ModeIrregular {
		return name.IsDir()
	}
	return d.IsDir(name.Name())
}

// Mkdir makes a directory for the owner.
func (d *Dir) Mkdir(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	err := unix.Mkdirat(d.fd(), name, 0o700)
	if reopens(d, err, "") {
		err = unix.Mkdirat(d.fd(), name, 0o700)
	}
	if err != nil {
		return &fs.PathError{Op: "mkdir", Path: d.file.Name() + "/" + name, Err: err}
	}
	return nil
}

// Create makes an empty file where there is none of the name.
func (d *Dir) Create(name string) error {
	f, err := d.openAt(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if reopens(d, err, "") {
		f, err = d.openAt(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// Replace writes a file as a whole, in the place of the one that has the name. It is for
// directories in which no other process writes.
func (d *Dir) Replace(name string, text []byte) error {
	aside := name + ".new"
	if err := d.Remove(aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := d.openAt(aside, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = d.Remove(aside)
		return err
	}
	if err := unix.Renameat(d.fd(), aside, d.fd(), name); err != nil {
		return &os.LinkError{Op: "rename", Old: f.Name(), New: d.file.Name() + "/" + name, Err: err}
	}
	return nil
}

// Rename moves a name into a directory, where nothing may have the new one. What the owner
// of the three closed to itself is opened to it again.
func (d *Dir) Rename(name string, to *Dir, as string) error {
	if err := errors.Join(checkName(name), checkName(as)); err != nil {
		return err
	}
	err := renameTo(d, name, to, as)
	// The kernel wants a directory that gets another parent to be writable, too.
	if from, into := reopens(d, err, name), reopens(to, err, ""); from || into {
		err = renameTo(d, name, to, as)
	}
	return err
}

func renameTo(d *Dir, name string, to *Dir, as string) error {
	err := unix.Renameat2(d.fd(), name, to.fd(), as, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		// A file system that cannot refuse to replace: only an empty directory is replaced
		// by a directory.
		err = unix.Renameat(d.fd(), name, to.fd(), as)
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: d.file.Name() + "/" + name, New: to.file.Name() + "/" + as, Err: err}
	}
	return nil
}

// Remove removes what is no directory.
func (d *Dir) Remove(name string) error { return d.unlink(name, 0) }

// RemoveDir removes an empty directory.
func (d *Dir) RemoveDir(name string) error { return d.unlink(name, unix.AT_REMOVEDIR) }

func (d *Dir) unlink(name string, flags int) error {
	if err := checkName(name); err != nil {
		return err
	}
	err := unix.Unlinkat(d.fd(), name, flags)
	if reopens(d, err, "") {
		err = unix.Unlinkat(d.fd(), name, flags)
	}
	if err != nil {
		return &fs.PathError{Op: "remove", Path: d.file.Name() + "/" + name, Err: err}
	}
	return nil
}

// FileSystem returns the size of the directory's file system, and how much of it is free,
// in bytes.
func (d *Dir) FileSystem() (size, free int64, err error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(d.fd(), &st); err != nil {
		return 0, 0, &fs.PathError{Op: "statfs", Path: d.file.Name(), Err: err}
	}
	return int64(st.Blocks) * st.Bsize, int64(st.Bavail) * st.Bsize, nil
}

// IsShortage reports whether an error is about what the process or the machine has too
// little of just now: it says nothing about the file.
func IsShortage(err error) bool {
	for _, e := range []syscall.Errno{unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENOBUFS, unix.EAGAIN, unix.EINTR} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
