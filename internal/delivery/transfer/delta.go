// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"io/fs"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/source"
)

// Files that are in the store already, in snapshots of the same source, are
// shared instead of downloaded. Which ones are the same, and what must be proved
// before they are, depends on how the snapshots are related (kinship). Between
// two snapshots of one origin and one principal it is decided by what the source
// says of both, and there are two proofs (docs/design/005-delta.md):
//
//   - the same key on the source with the same strong identity and size, whatever
//     the path of the item that it belongs to: it is the same object;
//   - the same size and the same checksum of the content (sha256, md5, or the
//     md5-tag of an S3 object), under whatever key. SHA-256 proves it. MD5 proves
//     it against accidents, not against two files that were made with the same
//     sum on purpose; a digest in the DataSet finds that out, because it is
//     compared with the bytes that are here.
//
// What another principal fetched, or what came by another way, is shared only
// with a proof by one's own credentials or of the bytes themselves (prove.go).
//
// An equal entity tag under another key proves nothing elsewhere: some servers make it of
// the time and the length. And a CRC is too short to tell files apart.

// md5Tag is the algorithm of checksums that are S3 ETags.
const md5Tag digest.Kind = "md5-tag"

// contentSum is the checksum of an entry if it tells equal files, else "".
func contentSum(e source.Entry) string {
	switch digest.Algorithm(e.Checksum) {
	case digest.SHA256, digest.MD5, md5Tag:
		return e.Checksum
	}
	return ""
}

// entryState is what the manifest and the journal keep of what the source says of a
// file: its identity, and behind a space its content's checksum. A weak identity
// proves nothing and is left out; "" if nothing is left.
func entryState(e source.Entry) string {
	sum := contentSum(e)
	switch {
	case !e.Identity.Strong() && digest.Algorithm(sum) != digest.SHA256:
		return ""
	case !e.Identity.Strong():
		return " " + sum
	case sum == "":
		return stateIdentity(e)
	}
	return stateIdentity(e) + " " + sum
}

// splitState returns the parts of a state. An identity may have spaces too, so
// what is behind the last one counts only if it is a checksum.
func splitState(text string) (identity, sum string) {
	if i := strings.LastIndexByte(text, ' '); i >= 0 {
		if sum := contentSum(source.Entry{Checksum: text[i+1:]}); sum != "" {
			return text[:i], sum
		}
	}
	return text, ""
}

// sharedState is the state of a file that is shared with an older one. A promise
// of its SHA-256 is kept only if the bytes were compared with it: a later delivery,
// perhaps of another principal, relies on that.
func sharedState(e source.Entry, old snapshot.Entry) string {
	promised := contentSum(e)
	if digest.Algorithm(promised) != digest.SHA256 || old.Digest == promised {
		return entryState(e)
	}
	if _, known := splitState(old.Identity); known == promised {
		return entryState(e)
	}
	if e.Identity.Strong() {
		return stateIdentity(e)
	}
	return ""
}

// findSame returns the files that are the same, by what the source says.
func (o *older) findSame(f *file, item string) []shared {
	var found []shared
	name := remoteKey(item, f.path, f.entry.Path == "")
	if one, ok := o.ofKey(name); ok && f.entry.Identity.Strong() && one.entry.Size == f.entry.Size {
		identity, _ := splitState(one.entry.Identity)
		if identity == stateIdentity(f.entry) {
			found = append(found, one)
		} else if isRewritten(identity, stateIdentity(f.entry)) {
			return nil
		}
	}
	if sum := contentSum(f.entry); sum != "" {
		if one, ok := o.ofContent(sum, f.entry.Size); ok {
			found = append(found, one)
		}
	}
	return found
}

// sharing finds files of older snapshots that are the same, and links them into the
// snapshot that is made.
type sharing struct {
	source  source.Source
	path    string // of the item
	kind    digest.Kind
	writer  *store.Writer // nil where it is only planned
	staging *staging      // likewise
	older   *older
	// linked tells that a file was shared.
	linked bool
}

func newSharing(d *delivery) *sharing {
	return &sharing{source: d.source, path: d.request.Path, kind: d.kind, writer: d.writer, staging: d.staging}
}

// linkOlderFile shares the file of an older snapshot, if there is one that is the same,
// and reports whether it did. A file that cannot be linked is downloaded.
func (h *sharing) linkOlderFile(f *file) bool {
	if f.entry.Size == 0 {
		return false
	}
	return h.linkFound(f)
}

// loadOlderSnapshots looks through further snapshots when more is missing of the files than
// is quickly downloaded.
func (h *sharing) loadOlderSnapshots(files []*file) {
	o := h.older
	for {
		var missing int64
		for _, f := range files {
			if f.entry.Link == "" && len(o.findSame(f, h.path)) == 0 && !o.hasProvable(f) {
				missing += f.entry.Size
			}
		}
		if len(o.left) == 0 || o.missed+missing <= lookFurther {
			o.missed += missing
			return
		}
		o.loadSnapshot()
	}
}

func (h *sharing) linkFound(f *file) bool {
	for _, one := range h.older.findSame(f, h.path) {
		e := one.entry
		e.Path, e.Identity = f.path, sharedState(f.entry, one.entry)
		if one.entry.Mode == f.mode && h.linkOne(f, one, e, 0) {
			return true
		}
	}
	return f.proof != nil && h.linkOne(f, f.proof.one, f.proof.entry, f.proof.inode)
}

// findIntact finds a file of an older snapshot by its directory and name, and
// reports whether it is what was delivered, with a mode.
func (o *older) findIntact(one shared, mode fs.FileMode) (dir int, name string, ok bool) {
	dir, err := o.openDir(one)
	if err != nil {
		return -1, "", false
	}
	var stat unix.Stat_t
	name = path.Base(one.entry.Path)
	err = unix.Fstatat(dir, name, &stat, unix.AT_SYMLINK_NOFOLLOW)
	return dir, name, err == nil && stat.Mode&unix.S_IFMT == unix.S_IFREG && fs.FileMode(stat.Mode).Perm() == mode &&
		stat.Size == one.entry.Size && stat.Mtim.Nano() == one.entry.Modified
}

// linkOne shares one file, as the entry e, if it is unharmed as far as its length and
// the time of its last write tell, and reports whether it did; what reads snapshots cannot write to them.
// An inode other than 0 is the only one that is taken.
func (h *sharing) linkOne(f *file, one shared, e snapshot.Entry, inode uint64) bool {
	from, name, ok := h.older.findIntact(one, f.mode)
	if !ok {
		return false
	}
	parent, err := h.staging.dirs.acquireDir(path.Dir(f.path))
	if err != nil {
		return false
	}
	defer h.staging.dirs.releaseDir(parent)
	to, at := int(parent.file.Fd()), path.Base(f.path)
	if err := unix.Linkat(from, name, to, at, 0); err != nil {
		return false
	}
	if !isInode(to, at, inode) || (e.Identity != "" && h.writer.Done(e) != nil) {
		// What is shared now must not be written to.
		_ = unix.Unlinkat(to, at, 0)
		return false
	}
	f.result = e
	h.linked = true
	return true
}

// isInode reports whether a name is of an inode; 0 is any.
func isInode(dir int, name string, inode uint64) bool {
	if inode == 0 {
		return true
	}
	var stat unix.Stat_t
	return unix.Fstatat(dir, name, &stat, unix.AT_SYMLINK_NOFOLLOW) == nil && stat.Ino == inode
}
