// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"cmp"
	"hash/maphash"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/compact"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/source"
)

// roll has every file of a delivery, from its listing to the manifest. A file takes
// little memory in it, some 130 bytes and its path, because there may be hundreds
// of thousands of them, most of which wait for their turn or are done: what work
// on a file needs is made when its turn comes.
type roll struct {
	mu    sync.Mutex
	seed  maphash.Seed
	files []enrolled
}

// enrolled is what is kept of a file.
type enrolled struct {
	path string // in the snapshot
	// sum is of what the source lists; two entries with the same one are equal.
	sum uint64
	// text is what the source lists, and what the snapshot has of the file once
	// that is done.
	text string
}

func newRoll() *roll { return &roll{seed: maphash.MakeSeed()} }

func (r *roll) countFiles() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.files)
}

// addFile takes a listed file, and notes its place in the roll.
func (r *roll) addFile(f *file) {
	text := packEntry(f.entry)
	r.mu.Lock()
	defer r.mu.Unlock()
	f.at = len(r.files)
	r.files = append(r.files, enrolled{path: f.path, sum: maphash.String(r.seed, text), text: text})
}

// matchesEntry reports whether the file at a place was listed as this entry.
func (r *roll) matchesEntry(at int, e source.Entry) bool {
	sum := maphash.String(r.seed, packEntry(e))
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.files[at].sum == sum
}

// prepareFile makes a file that waits ready for work.
func (r *roll) prepareFile(at int) *file {
	r.mu.Lock()
	kept := r.files[at]
	r.mu.Unlock()
	return &file{at: at, path: kept.path, entry: unpackEntry(kept.path, kept.text)}
}

// recordResult notes what the snapshot has of a file.
func (r *roll) recordResult(f *file) {
	text := f.result.Pack()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files[f.at].text = text
}

// eachEntry calls take with what the snapshot has of each file, in the order of the
// paths, until there is an error. Nothing can be added afterwards: places change.
func (r *roll) eachEntry(take func(snapshot.Entry) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.SortFunc(r.files, func(a, b enrolled) int { return cmp.Compare(a.path, b.path) })
	for _, f := range r.files {
		if err := take(snapshot.Unpack(f.path, f.text)); err != nil {
			return err
		}
	}
	return nil
}

// What a packed entry has beside its texts.
const (
	hasPath    = 1 << iota // else it is the item itself
	keyHasPath             // the key ends with the path
	noRanges
	hasTime
)

// packEntry writes what the source lists of a file, but for its path.
func packEntry(e source.Entry) string {
	var flags uint64
	key := e.Key
	if e.Path != "" {
		flags |= hasPath
		if rest, ok := strings.CutSuffix(key, e.Path); ok {
			key, flags = rest, flags|keyHasPath
		}
	}
	if e.NoRanges {
		flags |= noRanges
	}
	if !e.Modified.IsZero() {
		flags |= hasTime
	}
	var w compact.Writer
	w.Number(flags)
	w.Text(key)
	w.Signed(e.Size)
	w.Number(uint64(e.Mode))
	w.Digits(string(e.Identity))
	w.Digits(e.Checksum)
	w.Text(e.Link)
	if flags&hasTime != 0 {
		w.Signed(e.Modified.Unix())
		w.Number(uint64(e.Modified.Nanosecond()))
	}
	return string(w.Bytes)
}

func unpackEntry(path, text string) (e source.Entry) {
	r := compact.Reader{Rest: []byte(text)}
	flags := r.Number()
	e.Key = r.Text()
	if flags&hasPath != 0 {
		e.Path = path
	}
	if flags&keyHasPath != 0 {
		e.Key += path
	}
	e.NoRanges = flags&noRanges != 0
	e.Size = r.Signed()
	e.Mode = fs.FileMode(r.Number())
	e.Identity = source.Identity(r.Digits())
	e.Checksum = r.Digits()
	e.Link = r.Text()
	if flags&hasTime != 0 {
		e.Modified = time.Unix(r.Signed(), int64(r.Number())).UTC()
	}
	return e
}
