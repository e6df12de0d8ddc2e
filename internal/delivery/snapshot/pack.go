// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"sort"

	"github.com/kuda-io/kuda/internal/delivery/compact"
)

// Packed holds the entries of a manifest in little memory. A pod's leases live
// as long as the pod, and their entries, a hundred thousand perhaps, are looked
// at only when something changes. Each entry is
//
//	what its path shares with the one before, the rest of the path,
//	size, mode, difference of its time to that of the one before,
//	digest, identity, link
//
// in the form of package compact. Every entry that begins a group shares nothing
// with the one before, so that one entry can be had without all before it.
type Packed struct {
	out    compact.Writer
	groups []int // where each begins
	count  int
	last   Entry // what the next entry is written against
}

// groupSize is how many entries are read at most to have one.
const groupSize = 32

// Len is how many entries there are.
func (p *Packed) Len() int { return p.count }

// Add adds the next entry. Entries come sorted by their paths, no two with the
// same one; one that could not be read again is refused.
func (p *Packed) Add(e Entry) error {
	if err := p.checkNext(e); err != nil {
		return err
	}
	p.appendEntry(e)
	return nil
}

func (p *Packed) appendEntry(e Entry) {
	if p.count%groupSize == 0 {
		p.groups = append(p.groups, len(p.out.Bytes))
		p.last = Entry{}
	}
	shared := commonPrefix(p.last.Path, e.Path)
	p.out.Number(uint64(shared))
	p.out.Text(e.Path[shared:])
	writeFacts(&p.out, e, p.last.Modified)
	p.last = e
	p.count++
}

// ValidPath reports whether a path can be that of a file of a snapshot.
func ValidPath(path string) bool { return fs.ValidPath(path) && path != "." }

// checkNext returns an error unless an entry can be the next one.
func (p *Packed) checkNext(e Entry) error { return checkEntry(e, p.count > 0, p.last.Path) }

// checkEntry returns an error unless an entry can be behind that of the path before, if
// there is one.
func checkEntry(e Entry, follows bool, before string) error {
	switch {
	case !ValidPath(e.Path):
		return fmt.Errorf("it has the path %q", e.Path)
	case follows && e.Path <= before:
		return fmt.Errorf("it has %q behind %q", e.Path, before)
	case e.Size < 0:
		return fmt.Errorf("it has the file %q of %d bytes", e.Path, e.Size)
	}
	return nil
}

// Entries returns all of them anew.
func (p *Packed) Entries() []Entry { return slices.AppendSeq(make([]Entry, 0, p.count), p.All()) }

// All yields the entries one by one.
func (p *Packed) All() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		r := compact.Reader{Rest: p.out.Bytes}
		var last Entry
		for i := range p.count {
			if i%groupSize == 0 {
				last = Entry{}
			}
			if last = unpackEntry(&r, last); !yield(last) {
				return
			}
		}
	}
}

// At returns the entry of a number from 0 to Len()-1.
func (p *Packed) At(i int) Entry {
	r := compact.Reader{Rest: p.out.Bytes[p.groups[i/groupSize]:]}
	var before Entry
	for range i % groupSize {
		before.Path = r.Join(before.Path[:r.Number()])
		r.Number()
		r.Number()
		before.Modified += r.Signed()
		r.SkipDigits()
		r.SkipDigits()
		r.Field()
	}
	return unpackEntry(&r, before)
}

// Find returns the entry of a path and its number; false if there is none.
func (p *Packed) Find(path string) (Entry, int, bool) {
	after := sort.Search(len(p.groups), func(group int) bool { return p.At(group*groupSize).Path > path })
	if after == 0 {
		return Entry{}, 0, false
	}
	r := compact.Reader{Rest: p.out.Bytes[p.groups[after-1]:]}
	var e Entry
	for i := (after - 1) * groupSize; i < min(after*groupSize, p.count); i++ {
		if e = unpackEntry(&r, e); e.Path == path {
			return e, i, true
		}
	}
	return Entry{}, 0, false
}

// unpackEntry reads the entry behind another one.
func unpackEntry(r *compact.Reader, before Entry) Entry {
	return readFacts(r, r.Join(before.Path[:r.Number()]), before.Modified)
}

// writeFacts writes what an entry has beside its path.
func writeFacts(w *compact.Writer, e Entry, since int64) {
	w.Number(uint64(e.Size))
	w.Number(uint64(e.Mode))
	w.Signed(e.Modified - since)
	w.Digits(e.Digest)
	w.Digits(e.Identity)
	w.Text(e.Link)
}

func readFacts(r *compact.Reader, path string, since int64) Entry {
	return Entry{Path: path, Size: int64(r.Number()), Mode: fs.FileMode(r.Number()), Modified: since + r.Signed(),
		Digest: r.Digits(), Identity: r.Digits(), Link: r.Text()}
}

// Pack returns the entry without its path in few bytes, for Unpack in the same process.
func (e Entry) Pack() string {
	var w compact.Writer
	writeFacts(&w, e, 0)
	return string(w.Bytes)
}

// Unpack returns the entry that was packed, at its path.
func Unpack(path, packed string) Entry {
	return readFacts(&compact.Reader{Rest: []byte(packed)}, path, 0)
}

// PackEntries returns what a manifest lists, and refuses what could not be read again.
func PackEntries(m *Manifest) (*Packed, error) {
	entries := m.Packed
	if entries == nil {
		entries = &Packed{}
		for _, e := range m.Entries {
			if err := entries.Add(e); err != nil {
				return nil, fmt.Errorf("writing the manifest: %w", err)
			}
		}
	} else if m.Entries != nil {
		return nil, errors.New("writing the manifest: it has entries of two kinds")
	}
	var bytes int64
	for e := range entries.All() {
		bytes += e.Size
	}
	if bytes != m.Bytes {
		return nil, fmt.Errorf("writing the manifest: its files have %d bytes, not %d", bytes, m.Bytes)
	}
	return entries, nil
}

func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
