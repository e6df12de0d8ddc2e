// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// Check compares the current tree of a DataSet with its items: by name and
// size, and whether the files are still those of the snapshots. It reads no
// file's bytes. The error says what is missing.
func (v *View) Check(dataset string, items []Item) error {
	if err := checkDataSet(dataset); err != nil {
		return err
	}
	return v.dir.checkItems(path.Join(controlDir, dataset), items)
}

func (d *directory) checkItems(base string, items []Item) error {
	for _, item := range items {
		if err := d.checkItem(base, item); err != nil {
			return fmt.Errorf("checking %s: %w", item.LocalPath, err)
		}
	}
	return nil
}

func (d *directory) checkItem(base string, item Item) error {
	local, err := cleanLocal(item.LocalPath)
	if err != nil {
		return err
	}
	src, err := os.OpenRoot(item.Dir)
	if err != nil {
		return err
	}
	defer src.Close()
	dirs := &dirPair{have: d.root, want: src}
	defer dirs.close()
	for _, f := range item.Files {
		p := path.Join(base, local)
		if !item.Single {
			p = path.Join(p, f.Path)
		}
		if err := dirs.checkFile(p, f); err != nil {
			return err
		}
	}
	return nil
}

// dirPair compares files one directory after the other, so that each directory
// is opened once.
type dirPair struct {
	have, want       *os.Root
	haveDir, wantDir string
	haveFD, wantFD   *os.File
}

func (d *dirPair) close() { closeBoth(d.haveFD, d.wantFD) }

func (d *dirPair) checkFile(p string, f File) error {
	if d.haveFD == nil || path.Dir(p) != d.haveDir || path.Dir(f.Path) != d.wantDir {
		d.close()
		d.haveDir, d.wantDir = path.Dir(p), path.Dir(f.Path)
		d.haveFD, d.wantFD = nil, nil
		var err error
		if d.haveFD, err = d.have.Open(d.haveDir); err != nil {
			return err
		}
		if d.wantFD, err = d.want.Open(d.wantDir); err != nil {
			return err
		}
	}
	var have, want unix.Stat_t
	if err := unix.Fstatat(int(d.haveFD.Fd()), path.Base(p), &have, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("%s: %w", f.Path, err)
	}
	if f.Link != "" {
		return nil
	}
	if err := unix.Fstatat(int(d.wantFD.Fd()), path.Base(f.Path), &want, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("%s in the snapshot: %w", f.Path, err)
	}
	if have.Mode&unix.S_IFMT != unix.S_IFREG || have.Size != f.Size {
		return fmt.Errorf("%s has %d bytes instead of %d", f.Path, have.Size, f.Size)
	}
	if have.Ino == want.Ino && have.Dev == want.Dev || copyOf(&have, &want) {
		return nil
	}
	return fmt.Errorf("%s is not the snapshot's file", f.Path)
}

// copyOf reports whether a file is the copy that Prepare makes where hard links
// are not to be had: it has one name and the time of what it was copied from. A
// file of a snapshot that was taken away has one name too, and the time of that
// one, while the snapshot that was delivered in its place is younger.
func copyOf(have, want *unix.Stat_t) bool {
	return have.Nlink == 1 && have.Mtim == want.Mtim
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
