// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"io"
	"io/fs"
	"iter"
	"strings"
	"time"
)

// Source is one storage system, seen through one driver. It is safe for use by
// several goroutines.
type Source interface {
	// Identity names the storage system and the part of it that paths are
	// relative to, such as "s3://minio:9000/models". It is the same for every
	// process that reads the same data, whatever its credentials. It proves
	// nothing: what was stored under it is another's until the Provenance of a
	// Driver says otherwise.
	Identity() string

	// List yields the files at path: one entry with the Path "" when path
	// itself is a file, else every file of the tree below it, in an order that
	// does not change from call to call. It holds no more than a page in
	// memory, and ends after the first error it yields, which is the context's
	// own once that is cancelled. Directories are not listed, so one without
	// files leaves no trace. A path at which nothing is stored, or a directory
	// with no file in the whole of it, yields ErrNotFound. Names are passed on as
	// the storage system has them: a caller checks them (CheckPath) before it
	// uses them.
	//
	// Symbolic links in a tree are listed as they are, wherever they point, and
	// never followed: a caller refuses those that leave the tree. A path that is
	// a link itself stands for what it points to, within what the source may read.
	List(ctx context.Context, path string) iter.Seq2[Entry, error]

	// Open opens length bytes, at least one, of an entry from offset on, of the
	// very object that was listed: when the object is no longer the one that
	// e.Identity names, it fails with ErrChanged, or with ErrNotFound when there
	// is none any more; a source that keeps old objects delivers the old one. The
	// reader yields exactly length bytes and then io.EOF, or an error: a body that
	// is cut short is an error of the class ErrTemporary, never an early EOF, and
	// a range beyond the end is an error. An object that changes while it is read
	// ends in an error too; the bytes before ErrChanged may be those of either
	// state, the bytes before a temporary error are the old ones. Cancelling ctx
	// ends the reading. An entry with NoRanges is opened only as a whole.
	Open(ctx context.Context, e Entry, offset, length int64) (io.ReadCloser, error)

	// Close frees idle connections and what else the source holds. Calling it
	// again does nothing.
	Close() error
}

// Bounded is a source of which a client should not have more than so many requests under
// way, whatever the distance.
type Bounded interface{ MostRequests() int }

// Entry is one file as a source lists it.
type Entry struct {
	// Path is slash-separated and relative to the listed path; "" when that
	// path is the file itself.
	Path string
	// Key is what the driver opens the file by. Only the driver reads it.
	Key string
	// Size in bytes; 0 for a symbolic link.
	Size int64
	// Identity changes whenever the bytes do. A caller that has another proof of the
	// bytes may open an entry without one: then the file may be in any state.
	Identity Identity
	// Modified is when the source says that the file was written last, where its
	// Identity may outlive the bytes, as an entity tag that a service keeps as an
	// attribute does; else zero. What is taken over from an earlier delivery must
	// agree in it too. It is compared for equality, in seconds.
	Modified time.Time
	// Mode has the permission bits where the source records them, else 0.
	Mode fs.FileMode
	// Checksum is what the source promises about the bytes, "<algorithm>:<hex>"
	// with the hex of the sum in big-endian order, or "". The algorithms are
	// sha256, crc64nvme, crc32c and md5, of the whole file; and md5-tag, which is
	// the ETag of an S3 object, 32 hex digits and perhaps "-" and a number: the MD5
	// of the object, or of the MD5s of its parts, or something of its own where it
	// is encrypted. All but the last can be checked against the bytes; that one,
	// md5 and sha256 tell equal files under different paths. A driver gives the
	// first it has in this order: sha256, a CRC, md5, md5-tag. An unknown algorithm
	// is ignored.
	Checksum string
	// Link is the target where the file is a symbolic link, else "".
	Link string
	// Fault is why the file cannot be delivered although it is there, nil if it
	// can: a caller that wants the file fails with it. It has a class, or is an
	// *InvalidPathError.
	Fault error
	// NoRanges tells that the source can deliver the file only from its start
	// to its end.
	NoRanges bool
}

// Identity names one immutable state of a file: an ETag, a version, or a
// modification time and length. Identities are compared for equality only. One
// that begins with "W/" is weak: equal weak identities do not prove equal
// bytes, so ranges read under it are never joined.
type Identity string

// Strong reports whether equal identities prove equal bytes.
func (i Identity) Strong() bool {
	return i != "" && !strings.HasPrefix(string(i), "W/")
}
