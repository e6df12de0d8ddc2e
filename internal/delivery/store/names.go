// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import "github.com/kuda-io/kuda/internal/delivery/snapshot"

// Names in a store's directory, for who looks at a store that is not its own and so
// opens none: the keeper of a node.
const (
	// SnapshotsDir has one directory per snapshot, by its ID, and one per download.
	SnapshotsDir = "snapshots"
	// LocksDir has the locks.
	LocksDir = "locks"
	// MarksDir has the marks.
	MarksDir = marksDir
	// TrashDir has what is being deleted.
	TrashDir = "trash"
	// IDFile holds the store's ID.
	IDFile = idName
	// PartialSuffix ends the name of a download's directory.
	PartialSuffix = partialSuffix
	// ReservedFile holds, in a download's directory, the bytes that were promised to it.
	ReservedFile = reservedName
	// JournalFile is what was done of a download, in its directory.
	JournalFile = journalName
	// MaxMark is the length of the longest mark.
	MaxMark = maxMark
)

// LeaseName is the name of a snapshot's lease, in LocksDir.
func LeaseName(id snapshot.ID) string { return string(id) + ".lease" }

// WriterName is the name of the lock of who downloads a snapshot, in LocksDir.
func WriterName(id snapshot.ID) string { return string(id) + ".writer" }

// SuspectName is the name of the mark, in LocksDir, that a snapshot is to be read before
// it is served.
func SuspectName(id snapshot.ID) string { return string(id) + suspectSuffix }

// ValidMark reports whether a text can be a mark.
func ValidMark(mark string) bool { return validMark(mark) }

// ValidID reports whether a text can be a store's ID.
func ValidID(id string) bool { return checkID(id) == nil }
