// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// fileSystem is what a path is looked up in: an *os.Root, or the process's own.
type fileSystem interface {
	OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error)
	Rename(from, to string) error
}

type processFS struct{}

func (processFS) OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error) {
	return os.OpenFile(name, flag, perm)
}

func (processFS) Rename(from, to string) error { return os.Rename(from, to) }

// Write replaces the file at path. It is on disk when Write returns. One
// process at a time may write a path.
func Write(path string, content []byte, perm fs.FileMode) error {
	return writeFile(processFS{}, path, content, perm)
}

// WriteIn is Write for a path below root.
func WriteIn(root *os.Root, path string, content []byte, perm fs.FileMode) error {
	return writeFile(root, path, content, perm)
}

func writeFile(in fileSystem, path string, content []byte, perm fs.FileMode) error {
	tmp := path + ".tmp"
	f, err := in.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err == nil {
		_, err = f.Write(content)
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err == nil {
		err = in.Rename(tmp, path)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(path), err)
	}
	return syncDir(in, filepath.Dir(path))
}

// Remove removes the file at path, if it is there.
func Remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing %s: %w", filepath.Base(path), err)
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes the names in a directory durable.
func SyncDir(dir string) error { return syncDir(processFS{}, dir) }

// SyncDirIn is SyncDir for a directory below root.
func SyncDirIn(root *os.Root, dir string) error { return syncDir(root, dir) }

func syncDir(in fileSystem, dir string) error {
	d, err := in.OpenFile(dir, os.O_RDONLY, 0)
	if err != nil {
		return fmt.Errorf("flushing %s: %w", dir, err)
	}
	return errors.Join(d.Sync(), d.Close())
}
