// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package pvc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/source"
)

// lostAndFound is where repairs of a file system leave what they found. Most
// users may not look into it, and it holds no data of applications.
const lostAndFound = "lost+found"

// walk lists a tree. It opens every directory relative to the one above, and
// follows no link.
type walk struct {
	ctx    context.Context
	source *Source
	op     string
	base   string // of the tree, below the root
	settle time.Duration
	yield  func(source.Entry, error) bool
	listed int
}

// yieldError ends the walk with an error. It reports whether the walk goes on, which
// it never does then.
func (w *walk) yieldError(name string, err error) bool {
	if _, ok := errors.AsType[*source.Error](err); !ok {
		err = w.source.classifyError(w.op, fmt.Errorf("%q: %w", name, err))
	}
	w.yield(source.Entry{}, err)
	return false
}

// listDirectory yields what is in an open directory, whose name in the tree ends with a
// slash, or is "". It reports whether the walk goes on.
func (w *walk) listDirectory(d *os.File, prefix string) bool {
	source.Alive(w.ctx)
	names, err := d.Readdirnames(-1)
	if err != nil {
		return w.yieldError(prefix, err)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := context.Cause(w.ctx); err != nil {
			return w.yieldError(prefix+name, source.Wrap(w.ctx, w.op, err))
		}
		var stat unix.Stat_t
		err := unix.Fstatat(int(d.Fd()), name, &stat, unix.AT_SYMLINK_NOFOLLOW)
		if errors.Is(err, unix.ENOENT) {
			continue // deleted since
		}
		if err != nil {
			return w.yieldError(prefix+name, err)
		}
		if !w.yieldEntry(d, prefix, name, &stat) {
			return false
		}
	}
	return true
}

// yieldEntry yields a file or a link, or what is in a directory. It reports whether
// the walk goes on.
func (w *walk) yieldEntry(d *os.File, prefix, name string, stat *unix.Stat_t) bool {
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		again := func(stat *unix.Stat_t) error {
			return unix.Fstatat(int(d.Fd()), name, stat, unix.AT_SYMLINK_NOFOLLOW)
		}
		if err := waitSettled(w.ctx, w.settle, stat, again); err != nil {
			return w.yieldError(prefix+name, err)
		}
		w.listed++
		return w.yield(newEntry(prefix+name, path.Join(w.base, prefix)+"/"+name, stat), nil)
	case unix.S_IFLNK:
		target, err := readLink(d, name, stat.Size)
		if err != nil {
			return w.yieldError(prefix+name, err)
		}
		w.listed++
		return w.yield(source.Entry{Path: prefix + name, Link: target, Identity: entryIdentity(stat)}, nil)
	case unix.S_IFDIR:
		fd, err := unix.Openat(int(d.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		switch {
		case errors.Is(err, fs.ErrPermission) && name == lostAndFound && prefix == "" && w.base == ".":
			return true
		case errors.Is(err, unix.ENOENT):
			return true // deleted since
		case err != nil:
			return w.yieldError(prefix+name, err)
		}
		below := os.NewFile(uintptr(fd), name)
		defer below.Close()
		return w.listDirectory(below, prefix+name+"/")
	}
	w.listed++
	return w.yield(source.Entry{Path: prefix + name, Key: path.Join(w.base, prefix) + "/" + name,
		Fault: w.source.classifyError(w.op, fmt.Errorf("%q: %w", prefix+name, errKind))}, nil)
}

func readLink(d *os.File, name string, size int64) (string, error) {
	// Some file systems say that links have no bytes.
	buffer := make([]byte, max(size+1, 4096))
	n, err := unix.Readlinkat(int(d.Fd()), name, buffer)
	if err != nil {
		return "", err
	}
	return string(buffer[:n]), nil
}
