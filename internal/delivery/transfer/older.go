// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
)

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

// kinship is how a snapshot in the store is related to the one that is delivered:
// it decides what must be proved before a file of it is shared.
type kinship int

const (
	// own: the same origin and the same principal. What the source says is enough.
	own kinship = iota
	// another's: the same origin, read by another principal. The same file is
	// shared if the own credentials read it.
	anothers
	// foreign: the bytes came by another way, or an older release brought them,
	// which did not say by which. They are compared with the own listing.
	foreign
	// strange: nothing is shared.
	strange
)

// kinshipOf says how the snapshot of a key is related to the one of another.
func kinshipOf(mine, other snapshot.Key) kinship {
	switch {
	case mine.Source != other.Source:
		return strange
	case mine.Way == other.Way && mine.Principal == other.Principal:
		return own
	case mine.Path != other.Path:
		return strange
	case mine.Way == other.Way:
		return anothers
	case other.Principal == "" || mine.Principal == other.Principal:
		// The own way may lead to a server that lists sums of private files without
		// having them. So only bytes count that the own credentials, or none, read.
		return foreign
	}
	return strange
}

// shared is a file of an older snapshot.
type shared struct {
	dir   string
	entry snapshot.Entry
}

// relative is a snapshot that may share files.
type relative struct {
	snapshot store.Snapshot
	kin      kinship
	legacy   bool
}

// chapter is a snapshot that was looked through.
type chapter struct {
	dir      string
	path     string // of the item on the source
	manifest *snapshot.Manifest
}

// place is where a file of an older snapshot is: the chapter, and the number there.
type place struct{ chapter, number int32 }

// places finds files by a text, in little memory: it has hashes of the texts. Who
// looks compares what was found with what was looked for.
type places map[uint64]place

// older has the files of snapshots of the same source.
type older struct {
	store     *store.Store
	legacy    *store.Legacy
	seed      maphash.Seed
	chapters  []chapter
	byKey     places // own, by the key on the source
	byContent places // own, by checksum and size
	anothers  places // by the place in the item, as are foreign ones
	foreign   places
	files     int
	left      []relative // not looked through yet
	missed    int64      // bytes
	leases    []io.Closer
	// opened is the directory of the file that was shared last: listings go
	// through a tree in order, so that of the next one is mostly the same.
	opened     *os.File
	openedName string
}

// openDir is the descriptor of the directory that a file of an older snapshot is
// in, as long as it is not asked for another one.
func (o *older) openDir(one shared) (int, error) {
	name := filepath.Join(one.dir, filepath.FromSlash(path.Dir(one.entry.Path)))
	if o.opened == nil || o.openedName != name {
		o.closeDir()
		opened, err := os.OpenFile(name, unix.O_PATH|unix.O_DIRECTORY, 0)
		if err != nil {
			return -1, err
		}
		o.opened, o.openedName = opened, name
	}
	return int(o.opened.Fd()), nil
}

func (o *older) closeDir() {
	if o.opened != nil {
		o.opened.Close()
		o.opened = nil
	}
}

func (o *older) close() {
	if o == nil {
		return
	}
	o.closeDir()
	for _, l := range o.leases {
		_ = l.Close()
	}
}

// remoteKey is where the source has a file of an item. single is set where the item
// is that file.
func remoteKey(item, name string, single bool) string {
	item = strings.Trim(item, "/")
	if single {
		return item
	}
	return strings.TrimPrefix(item+"/"+name, "/")
}

func contentKey(sum string, size int64) string { return sum + "/" + strconv.FormatInt(size, 10) }

// placeIn names a file within an item of a given path. An item that is one file, and
// a tree that once stood at the same path, have no place in common.
func placeIn(name string, single bool) string {
	if single {
		return ""
	}
	return name
}

// findOlder looks through the last snapshot of the same path, if there is one.
// legacy may be nil.
func findOlder(s *store.Store, key snapshot.Key, legacy *store.Legacy) (*older, error) {
	snapshots, err := s.Snapshots()
	if err != nil {
		return nil, err
	}
	o := &older{store: s, legacy: legacy, left: relatedSnapshots(snapshots, key), seed: maphash.MakeSeed(),
		byKey: places{}, byContent: places{}, anothers: places{}, foreign: places{}}
	if legacy != nil {
		// Without it everything is downloaded.
		snapshots, _ := legacy.Snapshots()
		o.left = append(o.left, legacySnapshots(snapshots, key)...)
	}
	if len(o.left) > 0 && o.left[0].snapshot.Key.Path == key.Path {
		o.loadSnapshot()
	}
	return o, nil
}

// relatedSnapshots returns the snapshots that may share files with one of the key, the
// most promising first: those of the same path, then of the nearest ones, and of
// these the one that was used last.
func relatedSnapshots(snapshots []store.Snapshot, key snapshot.Key) []relative {
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
	var list []relative
	for _, s := range snapshots {
		r := relative{snapshot: s, kin: kinshipOf(key, s.Key)}
		same := digest.KindOf(s.Key.Digest) == digest.KindOf(key.Digest)
		if r.kin != strange && (same || r.kin == foreign) && s.ID != key.ID() {
			list = append(list, r)
		}
	}
	slices.SortStableFunc(list, func(a, b relative) int {
		return cmp.Or(near(b.snapshot)-near(a.snapshot), cmp.Compare(a.kin, b.kin), b.snapshot.Used.Compare(a.snapshot.Used))
	})
	return list[:min(len(list), maxOlder)]
}

// legacySnapshots returns the snapshots of an older release's store of the same path,
// those of the same version first.
func legacySnapshots(snapshots []store.Snapshot, key snapshot.Key) []relative {
	var list []relative
	for _, s := range snapshots {
		if s.Key.Source == key.Source && s.Key.Path == key.Path {
			list = append(list, relative{snapshot: s, kin: foreign, legacy: true})
		}
	}
	other := func(r relative) int {
		if r.snapshot.Key.Version == key.Version {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(list, func(a, b relative) int {
		return cmp.Or(other(a)-other(b), b.snapshot.Used.Compare(a.snapshot.Used))
	})
	return list[:min(len(list), maxOlder)]
}

// loadSnapshot takes over the files of the next snapshot.
func (o *older) loadSnapshot() {
	next := o.left[0]
	o.left = o.left[1:]
	m, dir, err := o.readManifest(next)
	if err != nil {
		return // evicted meanwhile, or damaged: download
	}
	o.chapters = append(o.chapters, chapter{dir, next.snapshot.Key.Path, m})
	number := int32(0)
	for e := range m.All() {
		if e.Link == "" && o.files < maxOlderFiles {
			o.files++
			o.indexEntry(next.kin, e, place{int32(len(o.chapters) - 1), number})
		}
		number++
	}
}

func (o *older) readManifest(r relative) (*snapshot.Manifest, string, error) {
	if !r.legacy {
		return o.store.Peek(context.Background(), r.snapshot.ID)
	}
	l, err := o.legacy.Lease(r.snapshot.ID)
	if err != nil {
		return nil, "", err
	}
	o.leases = append(o.leases, l)
	return l.Contents(), l.Dir(), nil
}

// indexEntry notes a file of the last chapter by what it can be found by.
func (o *older) indexEntry(k kinship, e snapshot.Entry, at place) {
	c := o.chapters[at.chapter]
	switch k {
	case anothers:
		o.indexText(o.anothers, placeIn(e.Path, c.manifest.File), at)
		return
	case foreign:
		o.indexText(o.foreign, placeIn(e.Path, c.manifest.File), at)
		return
	case own, strange:
	}
	identity, sum := splitState(e.Identity)
	if identity != "" {
		o.indexText(o.byKey, remoteKey(c.path, e.Path, c.manifest.File), at)
	}
	if sum != "" {
		o.indexText(o.byContent, contentKey(sum, e.Size), at)
	}
	if digest.Algorithm(e.Digest) == digest.SHA256 {
		o.indexText(o.byContent, contentKey(e.Digest, e.Size), at)
	}
}

// indexText lets a file be found by a text. The first one of a text stays.
func (o *older) indexText(in places, text string, at place) {
	sum := maphash.String(o.seed, text)
	if _, ok := in[sum]; !ok {
		in[sum] = at
	}
}

// findByText returns the file that was noted under a text. is reports whether the file
// is one of that text.
func (o *older) findByText(in places, text string, is func(chapter, snapshot.Entry) bool) (shared, bool) {
	at, ok := in[maphash.String(o.seed, text)]
	if !ok {
		return shared{}, false
	}
	c := o.chapters[at.chapter]
	e := c.manifest.Packed.At(int(at.number))
	return shared{c.dir, e}, is(c, e)
}

// ofKey returns the own file that came from a key of the source.
func (o *older) ofKey(key string) (shared, bool) {
	return o.findByText(o.byKey, key, func(c chapter, e snapshot.Entry) bool {
		return remoteKey(c.path, e.Path, c.manifest.File) == key
	})
}

// ofContent returns the own file with a checksum and a size.
func (o *older) ofContent(sum string, size int64) (shared, bool) {
	return o.findByText(o.byContent, contentKey(sum, size), func(_ chapter, e snapshot.Entry) bool {
		_, known := splitState(e.Identity)
		return e.Size == size && (known == sum || e.Digest == sum)
	})
}

// atPlace returns the file at the same place in the item.
func (o *older) atPlace(in places, f *file) (shared, bool) {
	name := placeIn(f.path, f.entry.Path == "")
	return o.findByText(in, name, func(c chapter, e snapshot.Entry) bool {
		return placeIn(e.Path, c.manifest.File) == name
	})
}

// anothersFile returns the file that another principal fetched and that the
// source says is this one.
func (o *older) anothersFile(f *file) (shared, bool) {
	one, ok := o.atPlace(o.anothers, f)
	identity, _ := splitState(one.entry.Identity)
	return one, ok && f.entry.Identity.Strong() && identity == stateIdentity(f.entry) &&
		one.entry.Size == f.entry.Size && one.entry.Mode == f.mode
}

// foreignFile returns a file that may turn out to have the bytes of this one.
func (o *older) foreignFile(f *file) (shared, bool) {
	one, ok := o.atPlace(o.foreign, f)
	return one, ok && one.entry.Size == f.entry.Size && one.entry.Mode == f.mode
}

// hasProvable reports whether there is a file that is shared if it is proved to be
// the same.
func (o *older) hasProvable(f *file) bool {
	_, another := o.anothersFile(f)
	_, foreign := o.foreignFile(f)
	return another || foreign
}

var errNotSame = errors.New("the bytes are not those that the source lists")
