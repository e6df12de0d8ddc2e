// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"io/fs"
)

// Format is the version of the manifest's and the journal's form.
const Format = 1

// FileName is the name, below Lease.Dir, of the only file of a snapshot that is
// one file.
const FileName = "file"

// Manifest says what a snapshot holds. Entries come last, so that the rest can
// be read without them.
type Manifest struct {
	Format int `json:"format"`
	Key    Key `json:"key"`
	// Digest of the whole; see the package digest rules at TreeDigest.
	Digest string `json:"digest"`
	// Bytes of all files.
	Bytes int64 `json:"bytes"`
	// File tells that the item is one file, whose entry has the Path FileName;
	// otherwise it is a tree.
	File bool `json:"file,omitempty"`
	// Entries are sorted by Path.
	Entries []Entry `json:"entries"`
}

// Entry is one file of a snapshot.
type Entry struct {
	// Path is slash-separated, relative to Lease.Dir, and safe to use there.
	Path string `json:"path"`
	// Size in bytes.
	Size int64 `json:"size"`
	// Mode has the permission bits.
	Mode fs.FileMode `json:"mode"`
	// Digest is "sha256:<hex>" or "xxh3:<hex>", the same kind in all entries;
	// "" of a link.
	Digest string `json:"digest,omitempty"`
	// Identity is what the source called this state of the file.
	Identity string `json:"identity,omitempty"`
	// Link is the target where the file is a symbolic link, else "".
	Link string `json:"link,omitempty"`
	// Modified is the time of the last write here, in nanoseconds since 1970;
	// Verify compares it.
	Modified int64 `json:"modified,omitempty"`
}
