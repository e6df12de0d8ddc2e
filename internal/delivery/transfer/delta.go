// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/delivery/store"
)

// older is a complete snapshot of another version of the same item, whose files
// are shared where the source says that they are the same.
type older struct {
	lease   *store.Lease
	entries map[string]store.Entry
}

// findOlder returns the most recently used one, or nil.
func findOlder(s *store.Store, key store.Key) (*older, error) {
	snapshots, err := s.Snapshots()
	if err != nil {
		return nil, err
	}
	for i := len(snapshots) - 1; i >= 0; i-- {
		k := snapshots[i].Key
		if k.Source != key.Source || k.Path != key.Path || digest.KindOf(k.Digest) != digest.KindOf(key.Digest) {
			continue
		}
		lease, err := s.Lease(snapshots[i].ID)
		if err != nil {
			continue // evicted meanwhile, or damaged: download
		}
		o := &older{lease: lease, entries: map[string]store.Entry{}}
		for _, e := range lease.Manifest().Entries {
			if e.Identity != "" {
				o.entries[e.Path] = e
			}
		}
		return o, nil
	}
	return nil, nil
}

func (o *older) close() {
	if o != nil {
		_ = o.lease.Close() // the kernel frees the lock in any case
	}
}

// link shares the file of an older snapshot, if it is the same and unharmed. A
// failure to link is no failure: the file is downloaded then.
func (d *delivery) link(f *file) bool {
	if d.older == nil || f.identity() == "" {
		return false
	}
	e, ok := d.older.entries[f.path]
	if !ok || e.Identity != f.identity() || e.Size != f.entry.Size || e.Mode != f.mode {
		return false
	}
	old := filepath.Join(d.older.lease.Dir(), filepath.FromSlash(f.path))
	info, err := os.Lstat(old)
	if err != nil || !info.Mode().IsRegular() || info.Size() != e.Size || info.ModTime().UnixNano() != e.Modified {
		return false
	}
	parent, err := d.dirs.get(path.Dir(f.path))
	if err != nil {
		return false
	}
	defer d.dirs.put(parent)
	if err := unix.Linkat(unix.AT_FDCWD, old, int(parent.file.Fd()), path.Base(f.path), 0); err != nil {
		return false
	}
	f.result = e
	return d.writer.Done(e) == nil
}
