// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
)

// Legacy is a store that an older release made, which did not write down by which
// way bytes came and who asked for them. It is read as what it is: files that are
// worth comparing with what a source lists. Nothing is written into it but the
// locks by which its own processes keep off what is in use.
type Legacy struct{ directory directory }

// OpenLegacy returns the store of an older release at root, nil if there is none.
func OpenLegacy(root string) *Legacy {
	d := newDirectory(root)
	if !isDir(d.snapshots) || !isDir(d.locks) {
		return nil
	}
	return &Legacy{d}
}

// Snapshots lists the complete snapshots, least recently used first.
func (l *Legacy) Snapshots() ([]Snapshot, error) { return l.directory.completeSnapshots() }

// Lease keeps a snapshot from being evicted by the older release's processes. It
// does not count as a use. Nothing is known of the files but their names.
func (l *Legacy) Lease(id snapshot.ID) (*Lease, error) {
	lease, err := l.directory.openLease(id)
	if err != nil {
		return nil, err
	}
	if err := lease.loadHeader(l.directory.snapshotDir(id)); err != nil {
		_ = lease.Close()
		return nil, err
	}
	return lease, nil
}
