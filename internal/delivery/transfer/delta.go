// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"cmp"
	"context"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/source"
)

// Files that are in the store already, in snapshots of the same source, are
// shared instead of downloaded. Which ones are the same is decided by what the
// source says of both, and there are two proofs (docs/design/005-delta.md):
//
//   - the same key on the source with the same strong identity and size, whatever
//     the path of the item that it belongs to: it is the same object;
//   - the same size and the same checksum of the content (sha256, md5, or the
//     md5-tag of an S3 object), under whatever key. SHA-256 proves it. MD5 proves it against accidents, not against somebody who makes
//     two files of the same sum on purpose; a digest in the DataSet finds that
//     out, because it is compared with the bytes that are here.
//
// An equal entity tag under another key proves nothing elsewhere: some servers make it of
// the time and the length. And a CRC is too short to tell files apart.

const (
	// maxOlder is how many snapshots are looked through: each one's manifest is
	// read and held in memory.
	maxOlder = 4
	// maxOlderFiles is how many files of them are.
	maxOlderFiles = 200_000
	// lookFurther is how many bytes a delivery misses before it looks beyond
	// snapshots of its own path; below that, downloading is quicker.
	lookFurther = 1 << 20
)

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

// state is what the manifest and the journal keep of what the source says of a
// file: its identity, and behind a space its content's checksum. A weak identity
// proves nothing and is left out; "" if nothing is left.
func state(e source.Entry) string {
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

// shared is a file of an older snapshot.
type shared struct {
	dir   string
	entry store.Entry
}

// older has the files of snapshots of the same source.
type older struct {
	byKey     map[string]shared // key on the source
	byContent map[string]shared // checksum and size
	left      []store.Snapshot  // not looked through yet
	missed    int64             // bytes
	// opened is the directory of the file that was shared last: listings go
	// through a tree in order, so that of the next one is mostly the same.
	opened     *os.File
	openedName string
}

// dir is the descriptor of the directory that a file of an older snapshot is
// in, as long as it is not asked for another one.
func (o *older) dir(one shared) (int, error) {
	name := filepath.Join(one.dir, filepath.FromSlash(path.Dir(one.entry.Path)))
	if o.opened == nil || o.openedName != name {
		o.close()
		opened, err := os.OpenFile(name, unix.O_PATH|unix.O_DIRECTORY, 0)
		if err != nil {
			return -1, err
		}
		o.opened, o.openedName = opened, name
	}
	return int(o.opened.Fd()), nil
}

func (o *older) close() {
	if o != nil && o.opened != nil {
		o.opened.Close()
		o.opened = nil
	}
}

// remoteKey is where the source has a file of an item.
func remoteKey(item, name string) string {
	item = strings.Trim(item, "/")
	if name == store.FileName || name == "" {
		return item
	}
	return strings.TrimPrefix(item+"/"+name, "/")
}

func contentKey(sum string, size int64) string { return sum + "/" + strconv.FormatInt(size, 10) }

// findOlder looks through the last snapshot of the same path, if there is one.
func findOlder(s *store.Store, key store.Key) (*older, error) {
	snapshots, err := s.Snapshots()
	if err != nil {
		return nil, err
	}
	o := &older{byKey: map[string]shared{}, byContent: map[string]shared{}, left: related(snapshots, key)}
	if len(o.left) > 0 && o.left[0].Key.Path == key.Path {
		o.look(s)
	}
	return o, nil
}

// related returns the snapshots that may share files with one of the key, the
// most promising first: those of the same path, then of the nearest ones, and of
// these the one that was used last.
func related(snapshots []store.Snapshot, key store.Key) []store.Snapshot {
	near := func(s store.Snapshot) int {
		if s.Key.Path == key.Path {
			return len(key.Path) + 1
		}
		n := 0
		for n < min(len(s.Key.Path), len(key.Path)) && s.Key.Path[n] == key.Path[n] {
			n++
		}
		return strings.Count(key.Path[:n], "/")
	}
	var list []store.Snapshot
	for _, s := range snapshots {
		if s.Key.Source == key.Source && digest.KindOf(s.Key.Digest) == digest.KindOf(key.Digest) && s.ID != key.ID() {
			list = append(list, s)
		}
	}
	slices.SortStableFunc(list, func(a, b store.Snapshot) int {
		return cmp.Or(near(b)-near(a), b.Used.Compare(a.Used))
	})
	return list[:min(len(list), maxOlder)]
}

// look takes over the files of the next snapshot.
func (o *older) look(s *store.Store) {
	next := o.left[0]
	o.left = o.left[1:]
	m, dir, err := s.Peek(context.Background(), next.ID)
	if err != nil {
		return // evicted meanwhile, or damaged: download
	}
	for _, e := range m.Entries {
		if e.Link != "" || len(o.byKey) >= maxOlderFiles {
			continue
		}
		one := shared{dir, e}
		identity, sum := splitState(e.Identity)
		if key := remoteKey(next.Key.Path, e.Path); identity != "" {
			if _, ok := o.byKey[key]; !ok {
				o.byKey[key] = one
			}
		}
		if sum != "" {
			o.byContent[contentKey(sum, e.Size)] = one
		}
		if digest.Algorithm(e.Digest) == digest.SHA256 {
			o.byContent[contentKey(e.Digest, e.Size)] = one
		}
	}
}

// find returns the files that are the same, by what the source says.
func (o *older) find(f *file, item string) []shared {
	var found []shared
	name := remoteKey(item, f.path)
	if one, ok := o.byKey[name]; ok && f.entry.Identity.Strong() && one.entry.Size == f.entry.Size {
		identity, _ := splitState(one.entry.Identity)
		if identity == stateIdentity(f.entry) {
			found = append(found, one)
		} else if rewritten(identity, stateIdentity(f.entry)) {
			return nil
		}
	}
	if sum := contentSum(f.entry); sum != "" {
		if one, ok := o.byContent[contentKey(sum, f.entry.Size)]; ok {
			found = append(found, one)
		}
	}
	return found
}

// link shares the file of an older snapshot, if there is one that is the same. A
// failure to link is no failure: the file is downloaded then.
func (d *delivery) link(f *file) bool {
	if f.entry.Size == 0 {
		return false
	}
	return d.linkFound(f)
}

// expect looks through further snapshots when more is missing of the files than
// is quickly downloaded.
func (d *delivery) expect(files []*file) {
	o := d.older
	for {
		var missing int64
		for _, f := range files {
			if f.entry.Link == "" && len(o.find(f, d.request.Path)) == 0 {
				missing += f.entry.Size
			}
		}
		if len(o.left) == 0 || o.missed+missing <= lookFurther {
			o.missed += missing
			return
		}
		o.look(d.engine.options.Store)
	}
}

func (d *delivery) linkFound(f *file) bool {
	for _, one := range d.older.find(f, d.request.Path) {
		if one.entry.Mode == f.mode && d.linkOne(f, one) {
			return true
		}
	}
	return false
}

// unharmed finds a file of an older snapshot by its directory and name, and
// tells whether it is what was delivered, with a mode.
func (o *older) unharmed(one shared, mode fs.FileMode) (dir int, name string, ok bool) {
	dir, err := o.dir(one)
	if err != nil {
		return -1, "", false
	}
	var stat unix.Stat_t
	name = path.Base(one.entry.Path)
	err = unix.Fstatat(dir, name, &stat, unix.AT_SYMLINK_NOFOLLOW)
	return dir, name, err == nil && stat.Mode&unix.S_IFMT == unix.S_IFREG && fs.FileMode(stat.Mode).Perm() == mode &&
		stat.Size == one.entry.Size && stat.Mtim.Nano() == one.entry.Modified
}

// linkOne shares one file, if it is unharmed as far as its length and the time
// of its last write tell; what reads snapshots cannot write to them.
func (d *delivery) linkOne(f *file, one shared) bool {
	e := one.entry
	from, name, ok := d.older.unharmed(one, f.mode)
	if !ok {
		return false
	}
	parent, err := d.dirs.get(path.Dir(f.path))
	if err != nil {
		return false
	}
	defer d.dirs.put(parent)
	if err := unix.Linkat(from, name, int(parent.file.Fd()), path.Base(f.path), 0); err != nil {
		return false
	}
	e.Path, e.Identity = f.path, state(f.entry)
	if e.Identity != "" && d.writer.Done(e) != nil {
		// Nobody may write into what is shared now.
		_ = unix.Unlinkat(int(parent.file.Fd()), path.Base(f.path), 0)
		return false
	}
	f.result = e
	d.linked = true
	return true
}
