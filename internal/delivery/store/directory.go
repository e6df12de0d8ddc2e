// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"path/filepath"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
)

// directory is where the parts of a store lie, and what is there. It knows no rules:
// who may do what is for its callers.
type directory struct {
	root, snapshots, locks, marks string
	trash                         trash
}

func newDirectory(root string) directory {
	return directory{
		root:      root,
		snapshots: filepath.Join(root, SnapshotsDir),
		locks:     filepath.Join(root, LocksDir),
		marks:     filepath.Join(root, marksDir),
		trash:     trash(filepath.Join(root, TrashDir)),
	}
}

const partialSuffix = ".partial"

func (d directory) snapshotDir(id snapshot.ID) string { return filepath.Join(d.snapshots, string(id)) }
func (d directory) partialDir(id snapshot.ID) string  { return d.snapshotDir(id) + partialSuffix }
func (d directory) leaseLock(id snapshot.ID) string {
	return filepath.Join(d.locks, LeaseName(id))
}
func (d directory) writerLock(id snapshot.ID) string {
	return filepath.Join(d.locks, WriterName(id))
}
func (d directory) suspectMark(id snapshot.ID) string {
	return filepath.Join(d.locks, SuspectName(id))
}
func (d directory) idFile() string   { return filepath.Join(d.root, idName) }
func (d directory) saltFile() string { return filepath.Join(d.root, saltName) }
func (d directory) bootFile() string { return filepath.Join(d.root, bootName) }
