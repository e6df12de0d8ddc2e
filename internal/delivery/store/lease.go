// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
	"weak"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
)

// Lease keeps a complete snapshot from being evicted. The kernel ends it when
// the process dies.
type Lease struct {
	id     snapshot.ID
	dir    string
	lock   *os.File
	path   string            // of the lock
	header snapshot.Manifest // with the entries packed
	// manifest is which file the header was read from: a snapshot that is taken away and
	// made again has another one under the same name.
	manifest fileIdentity

	mu       sync.Mutex
	used     bool // counts as a use
	unpacked weak.Pointer[snapshot.Manifest]
}

// ID of the snapshot.
func (l *Lease) ID() snapshot.ID { return l.id }

// Dir is the absolute path of the directory with the snapshot's files. They
// must not be written to.
func (l *Lease) Dir() string { return l.dir }

// Manifest of the snapshot. It must not be written to. It is held in memory
// only as long as the caller holds it; the lease itself takes some 65 bytes per
// file.
func (l *Lease) Manifest() *snapshot.Manifest {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := l.unpacked.Value(); m != nil {
		return m
	}
	m := l.header
	m.Entries, m.Packed = m.Packed.Entries(), nil
	l.unpacked = weak.Make(&m)
	return &m
}

// Contents is Manifest with the entries Packed, as the lease holds them.
func (l *Lease) Contents() *snapshot.Manifest {
	m := l.header
	return &m
}

// loadHeader fills the lease from the manifest below dir.
func (l *Lease) loadHeader(dir string) error {
	// Before it is read: one that comes in its place meanwhile is another one.
	l.manifest = identify(filepath.Join(dir, snapshot.ManifestName))
	header, err := snapshot.ReadManifest(dir)
	if errors.Is(err, snapshot.ErrDamaged) {
		return err
	}
	if err != nil {
		return storeErrorf("%w", err)
	}
	l.header = *header
	return nil
}

// Close ends the lease. It may be called more than once.
func (l *Lease) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.used {
		// In use until now, not only when it was taken. A file that cannot be touched
		// only makes the snapshot look older.
		now := unix.NsecToTimeval(time.Now().UnixNano())
		_ = unix.Futimes(int(l.lock.Fd()), []unix.Timeval{now, now})
		l.used = false
	}
	if err := l.lock.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return storeErrorf("closing a lease: %w", err)
	}
	return nil
}

// markUsed counts a lease as a use from now on.
func (l *Lease) markUsed() error {
	now := time.Now()
	if err := os.Chtimes(l.path, now, now); err != nil {
		return storeErrorf("marking a snapshot as used: %w", err)
	}
	l.used = true
	return nil
}

// Digest of the whole, as in the Manifest, whose entries it leaves packed.
func (l *Lease) Digest() string { return l.header.Digest }

// Bytes of all files, likewise.
func (l *Lease) Bytes() int64 { return l.header.Bytes }

// Current reports whether the lease still keeps the snapshot, and the snapshot is the one
// that was leased. It does not after the store, or a part of it, was deleted by hand, and
// after a damaged snapshot was taken away, whatever was made in its place.
func (l *Lease) Current() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return isCurrentLock(l.lock, l.path) && isDir(l.dir) &&
		identify(filepath.Join(filepath.Dir(l.dir), snapshot.ManifestName)) == l.manifest
}

// fileIdentity is which file has a name: numbers alone are used again.
type fileIdentity struct {
	device, inode     uint64
	modified, changed unix.Timespec
}

// identify returns the zero value where there is no file.
func identify(path string) fileIdentity {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return fileIdentity{}
	}
	return fileIdentity{device: st.Dev, inode: st.Ino, modified: st.Mtim, changed: st.Ctim}
}

// openLease is Lease without reading the manifest and without counting as a use.
func (d directory) openLease(id snapshot.ID) (*Lease, error) {
	if !id.Valid() || !isDir(d.snapshotDir(id)) {
		return nil, ErrNotStored
	}
	f, err := lockFile(d.leaseLock(id), unix.LOCK_SH)
	if err != nil {
		return nil, err
	}
	if !isDir(d.snapshotDir(id)) {
		unlockFile(f)
		return nil, ErrNotStored
	}
	return &Lease{id: id, dir: filepath.Join(d.snapshotDir(id), snapshot.DataDir), lock: f, path: d.leaseLock(id)}, nil
}
