// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
)

// removeUnrecorded deletes files that the journal does not know: a writer died before it
// had recorded them. Records without their file are forgotten.
func (w *Writer) removeUnrecorded() error {
	found := 0
	var strays []string
	err := w.walkFiles(".", func(name string) {
		if w.staged.hasFile(name) {
			found++
		} else {
			strays = append(strays, name)
		}
	})
	if err != nil {
		return err
	}
	for _, name := range strays {
		if err := w.removeStaged(name); err != nil {
			return err
		}
	}
	if found == w.staged.countFiles() {
		return nil
	}
	for name := range w.staged.allPaths() {
		if info, err := w.root.Lstat(name); err == nil && !info.IsDir() {
			continue
		}
		if err := w.Drop(name); err != nil {
			return err
		}
	}
	return nil
}

// walkEntries is how many names of a directory are read at once.
const walkEntries = 1024

// walkFiles calls see with each file below a directory.
func (w *Writer) walkFiles(dir string, see func(name string)) error {
	f, err := w.root.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		entries, err := f.ReadDir(walkEntries)
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			if !e.IsDir() {
				see(name)
			} else if err := w.walkFiles(name, see); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Drop deletes a staged file, and the directories that are empty without it.
func (w *Writer) Drop(name string) error {
	w.mu.Lock()
	w.staged.forgetFile(name)
	w.mu.Unlock()
	w.journal.mu.Lock()
	delete(w.journal.names, name)
	w.journal.mu.Unlock()
	if err := w.journal.writeRecord(record{Drop: name}); err != nil {
		return w.wrapRecordError(err)
	}
	if err := w.journal.flush(); err != nil {
		return w.wrapRecordError(err)
	}
	return w.removeStaged(name)
}

func (w *Writer) removeStaged(name string) error {
	err := w.root.Remove(name)
	// A journal that was not written by this code may call a directory a file.
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.ENOTDIR) {
		return storeErrorf("deleting a staged file: %w", err)
	}
	dir := path.Dir(name)
	for dir != "." && w.root.Remove(dir) == nil { // until one is not empty
		dir = path.Dir(dir)
	}
	return nil
}

// recheckJournal reads again what the journal says is on the disk, and forgets what
// is not: the machine went down since it was written.
func (w *Writer) recheckJournal(ctx context.Context) error {
	buffer := make([]byte, 1<<20)
	for name := range w.staged.allPaths() {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		ok, err := w.checkStaged(w.staged.get(name), buffer)
		if err != nil {
			return err
		}
		if !ok {
			if err := w.Drop(name); err != nil {
				return err
			}
		}
	}
	return w.journal.flush()
}

// checkStaged reports whether a staged file is what the journal says, as far as it goes.
func (w *Writer) checkStaged(staged *Staged, buffer []byte) (bool, error) {
	if staged.Entry != nil && staged.Entry.Link != "" {
		return false, nil
	}
	f, err := w.root.Open(staged.Path)
	if err != nil {
		return false, nil
	}
	defer f.Close()
	if staged.Entry != nil {
		return checkEntry(f, *staged.Entry, buffer, true)
	}
	for index, sum := range staged.Blocks {
		ok, err := checkBlock(f, staged.Size, index, sum, buffer)
		if err != nil {
			return false, err
		}
		if !ok {
			return false, nil
		}
	}
	return true, nil
}

func checkBlock(f *os.File, size int64, index int, want digest.Sum, buffer []byte) (bool, error) {
	offset := int64(index) * digest.BlockSize
	left := min(digest.BlockSize, size-offset)
	var block digest.Block
	for left > 0 {
		n, err := f.ReadAt(buffer[:min(int64(len(buffer)), left)], offset)
		block.Write(buffer[:n])
		offset, left = offset+int64(n), left-int64(n)
		if errors.Is(err, io.EOF) && left > 0 {
			return false, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
	}
	got := block.Next()
	return bytes.Equal(got[:], want[:]), nil
}

// checkEntry compares an open file with its entry.
func checkEntry(f *os.File, e snapshot.Entry, buffer []byte, deep bool) (bool, error) {
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	if !sameFacts(info, e) {
		return false, nil
	}
	if !deep {
		return true, nil
	}
	kind := digest.KindOf(e.Digest)
	got, err := digest.Reader(f, kind, buffer)
	return got == e.Digest, err
}

// sameFacts reports whether a file matches an entry in what is known without reading it.
func sameFacts(info fs.FileInfo, e snapshot.Entry) bool {
	return info.Mode().IsRegular() && info.Size() == e.Size && info.Mode().Perm() == e.Mode.Perm() &&
		info.ModTime().UnixNano() == e.Modified
}
