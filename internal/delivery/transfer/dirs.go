// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// maxDirs is how many directories are kept open. Listings go through a tree in
// order, so those of the last files are enough.
const maxDirs = 64

// dirs makes each directory of the staging directory once, and keeps the last
// ones open: a small file costs an open, a write, a look and a close then, and
// no walk from the root.
type dirs struct {
	root *os.Root

	mu    sync.Mutex
	made  map[string]bool
	open  map[string]*dir
	order []*dir // the oldest first
}

// dir is an open directory.
type dir struct {
	name  string
	file  *os.File
	users int // guarded by dirs.mu; the cache is one of them
	// making is held while a file is made: like writers of a file, those who
	// wait in the kernel for a directory spin there.
	making sync.Mutex
}

func newDirs(root *os.Root) *dirs {
	return &dirs{root: root, made: map[string]bool{}, open: map[string]*dir{}}
}

// makeDir makes a directory and its parents once.
func (d *dirs) makeDir(name string) error {
	if name == "." {
		return nil
	}
	d.mu.Lock()
	made := d.made[name]
	d.mu.Unlock()
	if made {
		return nil
	}
	if err := d.root.MkdirAll(name, 0o755); err != nil {
		return err
	}
	d.mu.Lock()
	d.made[name] = true
	d.mu.Unlock()
	return nil
}

// acquireDir returns an open directory, which it makes where it is missing; put gives
// it back.
func (d *dirs) acquireDir(name string) (*dir, error) {
	d.mu.Lock()
	if found := d.open[name]; found != nil {
		found.users++
		d.mu.Unlock()
		return found, nil
	}
	d.mu.Unlock()
	if err := d.makeDir(name); err != nil {
		return nil, err
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	opened := &dir{name: name, file: f, users: 1}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open[name] != nil {
		return opened, nil // another goroutine was as quick; this one is not kept
	}
	opened.users++
	d.open[name] = opened
	if d.order = append(d.order, opened); len(d.order) > maxDirs {
		d.dropDir(d.order[0])
		d.order = d.order[1:]
	}
	return opened, nil
}

func (d *dirs) releaseDir(used *dir) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.releaseLocked(used)
}

// close closes the directories that are kept.
func (d *dirs) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, kept := range d.order {
		d.dropDir(kept)
	}
	d.order = nil
}

func (d *dirs) dropDir(kept *dir) {
	delete(d.open, kept.name)
	d.releaseLocked(kept)
}

func (d *dirs) releaseLocked(used *dir) {
	if used.users--; used.users == 0 {
		used.file.Close()
	}
}

// writeFile makes the file of a path, where there must be none, with its content and its mode, and returns its
// modification time in nanoseconds since 1970. It does by hand what os.File
// does, but for what that does for files that can block.
func (d *dirs) writeFile(name string, content []byte, mode fs.FileMode) (modified int64, err error) {
	modified, err = d.writeOnce(name, content, mode)
	if errors.Is(err, fs.ErrNotExist) {
		d.forgetDir(path.Dir(name))
		modified, err = d.writeOnce(name, content, mode)
	}
	return modified, err
}

// forgetDir lets a directory be made again: dropping a stale file deletes the
// directories that are empty without it.
func (d *dirs) forgetDir(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.made, name)
	for i, kept := range d.order {
		if kept.name == name {
			d.dropDir(kept)
			d.order = slices.Delete(d.order, i, i+1)
			return
		}
	}
}

func (d *dirs) writeOnce(name string, content []byte, mode fs.FileMode) (modified int64, err error) {
	parent, err := d.acquireDir(path.Dir(name))
	if err != nil {
		return 0, err
	}
	defer d.releaseDir(parent)
	fd, err := parent.createFile(path.Base(name), mode)
	if err != nil {
		return 0, err
	}
	stat, err := writeContent(fd, content, mode)
	if closeErr := unix.Close(fd); err == nil && !errors.Is(closeErr, unix.EINTR) {
		err = closeErr
	}
	return stat.Mtim.Nano(), err
}

// createFile makes a file in the directory, where there must be none.
func (d *dir) createFile(name string, mode fs.FileMode) (fd int, err error) {
	const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
	d.making.Lock()
	defer d.making.Unlock()
	err = retryInterrupted(func() error {
		fd, err = unix.Openat(int(d.file.Fd()), name, flags, uint32(mode.Perm()))
		return err
	})
	return fd, err
}

// writeContent writes content, and sets the mode where the process's mask was in the way.
func writeContent(fd int, content []byte, mode fs.FileMode) (stat unix.Stat_t, err error) {
	for len(content) > 0 {
		var n int
		err := retryInterrupted(func() error {
			n, err = unix.Write(fd, content)
			return err
		})
		if err != nil {
			return stat, err
		}
		content = content[n:]
	}
	if err := retryInterrupted(func() error { return unix.Fstat(fd, &stat) }); err != nil {
		return stat, err
	}
	if stat.Mode&uint32(fs.ModePerm) == uint32(mode.Perm()) {
		return stat, nil
	}
	return stat, retryInterrupted(func() error { return unix.Fchmod(fd, uint32(mode.Perm())) })
}

// retryInterrupted makes a system call again that a signal interrupted.
func retryInterrupted(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
