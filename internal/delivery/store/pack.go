// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"
)

// packed holds the entries of a manifest in little memory. A pod's leases live
// as long as the pod, and their entries, a hundred thousand perhaps, are looked
// at only when something changes. Each entry is
//
//	what its path shares with the one before, the rest of the path,
//	size, mode, difference of its time to that of the one before,
//	digest, identity, link
//
// with numbers as varints, and texts as their length and their bytes. Hex digits,
// which digests and entity tags are made of, take half of their length.
type packed struct {
	bytes []byte
	count int
	last  Entry // what the next entry is written against
}

// The forms of a text.
const (
	plainText = iota // as it is
	hexText          // lower-case hex digits behind a prefix that ends with : or "
)

func (p *packed) add(e Entry) {
	shared := commonPrefix(p.last.Path, e.Path)
	p.number(uint64(shared))
	p.text(e.Path[shared:])
	p.number(uint64(e.Size))
	p.number(uint64(e.Mode))
	p.bytes = binary.AppendVarint(p.bytes, e.Modified-p.last.Modified)
	p.digits(e.Digest)
	p.digits(e.Identity)
	p.text(e.Link)
	p.last = e
	p.count++
}

// follows tells what keeps an entry from being the next one.
func (p *packed) follows(e Entry) error {
	switch {
	case !usable(e.Path):
		return fmt.Errorf("it has the path %q", e.Path)
	case p.count > 0 && e.Path <= p.last.Path:
		return fmt.Errorf("it has %q behind %q", e.Path, p.last.Path)
	case e.Size < 0:
		return fmt.Errorf("it has the file %q of %d bytes", e.Path, e.Size)
	}
	return nil
}

func (p *packed) number(n uint64) { p.bytes = binary.AppendUvarint(p.bytes, n) }

func (p *packed) text(s string) {
	p.number(uint64(len(s)))
	p.bytes = append(p.bytes, s...)
}

// digits adds a text that may be mostly hex digits: xxh3:0011…, "0011…".
func (p *packed) digits(s string) {
	start := strings.LastIndexAny(strings.TrimSuffix(s, `"`), `:"`) + 1
	prefix, rest := s[:start], s[start:]
	end := ""
	if strings.HasSuffix(rest, `"`) {
		rest, end = rest[:len(rest)-1], `"`
	}
	raw, err := hex.DecodeString(rest)
	if err != nil || len(raw) == 0 || strings.ContainsAny(rest, "ABCDEF") {
		p.number(plainText)
		p.text(s)
		return
	}
	p.number(hexText)
	p.text(prefix)
	p.text(string(raw))
	p.text(end)
}

// entries returns all of them anew.
func (p *packed) entries() []Entry { return slices.AppendSeq(make([]Entry, 0, p.count), p.all()) }

// all yields the entries one by one.
func (p *packed) all() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		r := unpacker{rest: p.bytes}
		var last Entry
		for range p.count {
			var e Entry
			shared := r.number()
			e.Path = r.join(last.Path[:shared], r.field())
			e.Size = int64(r.number())
			e.Mode = fs.FileMode(r.number())
			e.Modified = last.Modified + r.signed()
			e.Digest = r.digits()
			e.Identity = r.digits()
			e.Link = r.text()
			if !yield(e) {
				return
			}
			last = e
		}
	}
}

// unpacker reads what add wrote, in this process: it need not expect errors.
type unpacker struct {
	rest   []byte
	buffer []byte // a text that is put together
}

func (r *unpacker) number() uint64 {
	n, size := binary.Uvarint(r.rest)
	r.rest = r.rest[size:]
	return n
}

func (r *unpacker) signed() int64 {
	n, size := binary.Varint(r.rest)
	r.rest = r.rest[size:]
	return n
}

// field is the next text, as long as the bytes are not read again.
func (r *unpacker) field() []byte {
	n := r.number()
	field := r.rest[:n]
	r.rest = r.rest[n:]
	return field
}

func (r *unpacker) text() string { return string(r.field()) }

func (r *unpacker) digits() string {
	if r.number() == plainText {
		return r.text()
	}
	prefix, raw, end := r.field(), r.field(), r.field()
	r.buffer = append(hex.AppendEncode(append(r.buffer[:0], prefix...), raw), end...)
	return string(r.buffer)
}

func (r *unpacker) join(prefix string, rest []byte) string {
	r.buffer = append(append(r.buffer[:0], prefix...), rest...)
	return string(r.buffer)
}

func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
