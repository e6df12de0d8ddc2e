// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// trash is the directory of what is being deleted.
type trash string

// emptyTrash finishes deletions that were cut off. Another process may be at
// the same, so what is gone already is ignored.
func (t trash) emptyTrash() error {
	names, err := os.ReadDir(string(t))
	if err != nil {
		return storeErrorf("emptying the trash: %w", err)
	}
	for _, name := range names {
		if err := t.deleteTrash(filepath.Join(string(t), name.Name())); err != nil {
			return err
		}
	}
	return nil
}

// discardDirectory takes a directory away as a whole, and then deletes it.
func (t trash) discardDirectory(dir string) error {
	aside, err := t.takeAway(dir)
	if err != nil {
		return err
	}
	return t.deleteTrash(aside)
}

// takeAway moves a directory into the trash, where no process uses it.
func (t trash) takeAway(dir string) (string, error) {
	for {
		aside, err := os.MkdirTemp(string(t), "")
		if err != nil {
			return "", storeErrorf("deleting %s: %w", dir, err)
		}
		err = os.Rename(dir, filepath.Join(aside, "d"))
		// Another process may have emptied the trash in between.
		if errors.Is(err, unix.ENOENT) && pathExists(dir) {
			continue
		}
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return "", storeErrorf("deleting %s: %w", dir, err)
		}
		return aside, nil
	}
}

// deleteTrash removes a directory in the trash, perhaps together with others who do
// the same.
func (t trash) deleteTrash(aside string) error {
	for {
		err := os.RemoveAll(aside)
		if err == nil || !pathExists(aside) {
			return nil
		}
		if !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.ENOENT) {
			return storeErrorf("deleting %s: %w", aside, err)
		}
	}
}
