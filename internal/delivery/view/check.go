// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"
)

// Check compares the current tree of a DataSet with its items: by name and
// size, and whether the files are still those of the snapshots. It reads no
// file's bytes. The error says what is missing.
func (v *View) Check(dataset string, items []Item) error {
	if err := checkDataSet(dataset); err != nil {
		return err
	}
	return v.checkItems(path.Join(controlDir, dataset), items)
}

func (v *View) checkItems(base string, items []Item) error {
	for _, item := range items {
		if err := v.checkItem(base, item); err != nil {
			return fmt.Errorf("checking %s: %w", item.LocalPath, err)
		}
	}
	return nil
}

func (v *View) checkItem(base string, item Item) error {
	local, err := cleanLocal(item.LocalPath)
	if err != nil {
		return err
	}
	src, err := os.OpenRoot(item.Dir)
	if err != nil {
		return err
	}
	defer src.Close()
	for _, f := range item.Files {
		p := path.Join(base, local)
		if !item.Single {
			p = path.Join(p, f.Path)
		}
		have, err := v.root.Lstat(p)
		if err != nil {
			return err
		}
		if f.Link != "" {
			continue
		}
		want, err := src.Lstat(f.Path)
		if err != nil {
			return err
		}
		if !have.Mode().IsRegular() || have.Size() != f.Size {
			return fmt.Errorf("%s has %d bytes instead of %d", f.Path, have.Size(), f.Size)
		}
		if !os.SameFile(have, want) && linked(have) {
			return fmt.Errorf("%s is not the snapshot's file", f.Path)
		}
	}
	return nil
}

// linked tells a hard link from the copy that Prepare makes where links are
// not to be had.
func linked(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Nlink > 1
}

// Suspect makes sure that no tree of the DataSet that is on disk now is used
// again by Prepare, because Check found one damaged.
func (v *View) Suspect(dataset string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if s := v.sets[dataset]; s != nil {
		for _, t := range s.trees {
			for i := range t.Items {
				t.Items[i].Mark = ""
			}
		}
	}
}
