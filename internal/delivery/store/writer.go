// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/atomicfile"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
)

// Writer makes one snapshot. It holds the writer's lock: no other process
// writes the same snapshot. Exactly one of Commit, Discard and Close ends it.
type Writer struct {
	// Urgent lets Reserve evict what is only wanted (Options.Wanted), because a
	// pod waits for the snapshot.
	Urgent bool

	store   *Store
	key     snapshot.Key
	lock    *os.File
	dir     string
	root    *os.Root
	journal *journal
	// fs is open from before the first byte: a flush of the file system tells
	// of the errors since its file was opened.
	fs *os.File

	mu     sync.Mutex
	staged staged
}

// newWriter opens the staging directory, with what an earlier writer left in it.
func newWriter(ctx context.Context, s *Store, key snapshot.Key, lock *os.File) (_ *Writer, err error) {
	w := &Writer{store: s, key: key, lock: lock, dir: s.partialDir(key.ID())}
	data := filepath.Join(w.dir, snapshot.DataDir)
	if err := os.MkdirAll(data, 0o755); err != nil {
		return nil, s.space.spaceOr("opening the staging directory", err, 0)
	}
	if w.fs, err = os.Open(w.dir); err == nil {
		w.root, err = os.OpenRoot(data)
	}
	if err != nil {
		w.closeFiles()
		return nil, storeErrorf("opening the staging directory: %w", err)
	}
	w.journal, w.staged, err = openJournal(filepath.Join(w.dir, journalName))
	if err == nil {
		err = w.removeUnrecorded()
	}
	if err == nil && !w.journal.sameBoot {
		if err = w.recheckJournal(ctx); err == nil {
			err = w.journal.writeHeader(w.key)
		}
	}
	if err != nil {
		w.closeFiles()
		return nil, s.space.spaceOr("resuming a download", err, 0)
	}
	return w, nil
}

// Key of the snapshot.
func (w *Writer) Key() snapshot.Key { return w.key }

// Root is the directory that the files go to.
func (w *Writer) Root() *os.Root { return w.root }

// Staged returns what an earlier writer left of a file, or nil. What the source
// does not have any more, or in another state, must be given to Drop.
func (w *Writer) Staged(path string) *Staged {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.staged.get(path)
}

// StagedPaths lists the files of which an earlier writer left something.
func (w *Writer) StagedPaths() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(w.staged.allPaths())
}

// Use tells that what is staged of a file is a part of the snapshot that is made:
// neither Staged nor StagedPaths has it any more.
func (w *Writer) Use(path string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.staged.forgetFile(path)
}

// Fail gives an error of writing below Root its type: no room is an
// *InsufficientSpaceError, anything else matches ErrStore. needed is how many
// bytes were to be written.
func (w *Writer) Fail(op string, err error, needed int64) error {
	return w.store.space.spaceOr(op, err, needed)
}

// Commit makes the snapshot complete and returns a lease of it. Everything is
// flushed to the disk once, before the snapshot appears. The lease keeps what
// m.Packed has.
func (w *Writer) Commit(m *snapshot.Manifest) (*Lease, error) {
	m.Format, m.Key = snapshot.Format, w.key
	fail := func(err error) (*Lease, error) {
		err = w.store.space.spaceOr("committing a snapshot", err, 0)
		_ = w.Close() // what it could say is said already
		return nil, err
	}
	entries, err := snapshot.PackEntries(m)
	if err != nil {
		return fail(err)
	}
	m.Files = entries.Len()
	if err := w.journal.flush(); err != nil {
		return fail(err)
	}
	if err := snapshot.WriteManifest(w.dir, m); err != nil {
		return fail(err)
	}
	if err := unix.Syncfs(int(w.fs.Fd())); err != nil {
		return fail(err)
	}
	l, err := w.publishSnapshot()
	if err != nil {
		return fail(err)
	}
	l.header = *m
	l.header.Entries, l.header.Packed = nil, entries
	l.manifest = identify(filepath.Join(w.store.snapshotDir(l.id), snapshot.ManifestName))
	w.store.removeLeftovers(l.id)
	w.closeAll()
	return l, nil
}

// publishSnapshot gives the staged snapshot its name, and leases it before another
// process can evict it. What was reserved for it is used from then on: both change in
// one step for those who hold the room's lock.
func (w *Writer) publishSnapshot() (*Lease, error) {
	s, id := w.store, w.key.ID()
	guard, err := s.space.lockRoom()
	if err != nil {
		return nil, err
	}
	defer unlockFile(guard)
	if err := s.clearDoubt(id); err != nil {
		return nil, err
	}
	if err := os.Rename(w.dir, s.snapshotDir(id)); err != nil {
		return nil, err
	}
	if err := atomicfile.SyncDir(s.snapshots); err != nil {
		return nil, err
	}
	l, err := s.openLease(id)
	if err != nil {
		return nil, err
	}
	if err := l.markUsed(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Close ends the writing and keeps what is staged for the next writer.
func (w *Writer) Close() error {
	err := w.journal.flush()
	w.closeAll()
	if err != nil {
		return w.store.space.spaceOr("recording a download", err, 0)
	}
	return nil
}

// Discard ends the writing and deletes what is staged.
func (w *Writer) Discard() error {
	err := w.store.trash.discardDirectory(w.dir)
	if id := w.key.ID(); !isDir(w.store.snapshotDir(id)) {
		w.store.removeMarks(id)
	}
	w.closeAll()
	return err
}

// Reload begins again with what is staged, as the next writer would; Staged
// then has what this one completed. With discard it begins with nothing.
func (w *Writer) Reload(ctx context.Context, discard bool) error {
	if err := w.Flush(); err != nil {
		return err
	}
	w.closeFiles()
	if discard {
		if err := w.store.trash.discardDirectory(w.dir); err != nil {
			return err
		}
	}
	next, err := newWriter(ctx, w.store, w.key, w.lock)
	if err != nil {
		return err
	}
	w.fs, w.root, w.journal, w.staged = next.fs, next.root, next.journal, next.staged
	return nil
}

// closeAll frees everything, the lock last.
func (w *Writer) closeAll() {
	w.closeFiles()
	w.lock.Close()
}

func (w *Writer) closeFiles() {
	if w.fs != nil {
		w.fs.Close()
	}
	if w.root != nil {
		w.root.Close()
	}
	if w.journal != nil {
		w.journal.close()
	}
}

// spaceOr returns an *InsufficientSpaceError where err says that there is no
// room, and else an error that matches ErrStore.
func (s *space) spaceOr(op string, err error, needed int64) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		size, free, _ := s.fileSystem()
		return &InsufficientSpaceError{Needed: needed, Free: max(free-s.options.Reserve.Of(size), 0),
			Inodes: errors.Is(err, unix.ENOSPC) && s.noInodes(), DiskQuota: errors.Is(err, unix.EDQUOT)}
	}
	if _, ok := errors.AsType[*InsufficientSpaceError](err); ok {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrStore) {
		return err
	}
	return storeErrorf("%s: %w", op, err)
}
