// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package compact writes numbers and texts into few bytes, and reads them back in
// the same process: what is kept of each of a hundred thousand files. Numbers are
// varints; texts are their length and their bytes; and hex digits, which digests
// and entity tags are made of, take half of their length. It is no form for the
// disk: a reader expects no errors. The packages store and transfer use it.
package compact

import (
	"encoding/binary"
	"encoding/hex"
)

// shortest is the length from which hex digits are worth being written apart.
const shortest = 8

// Writer appends to Bytes.
type Writer struct{ Bytes []byte }

// Number writes a number.
func (w *Writer) Number(n uint64) { w.Bytes = binary.AppendUvarint(w.Bytes, n) }

// Signed writes a number that may be negative.
func (w *Writer) Signed(n int64) { w.Bytes = binary.AppendVarint(w.Bytes, n) }

// Text writes a text.
func (w *Writer) Text(s string) {
	w.Number(uint64(len(s)))
	w.Bytes = append(w.Bytes, s...)
}

// Digits writes a text that may have runs of lower-case hex digits, such as
// xxh3:0011…: how many there are; each with what is before it; and the rest.
func (w *Writer) Digits(s string) {
	runs := 0
	for rest := s; ; runs++ {
		_, run, after := cutRun(rest)
		if run == "" {
			break
		}
		rest = after
	}
	w.Number(uint64(runs))
	for range runs {
		before, run, after := cutRun(s)
		w.Text(before)
		w.Number(uint64(len(run) / 2))
		for i := 0; i < len(run); i += 2 {
			w.Bytes = append(w.Bytes, hexValue(run[i])<<4|hexValue(run[i+1]))
		}
		s = after
	}
	w.Text(s)
}

// cutRun finds the first run of hex digits of an even number; run is "" if there is
// none.
func cutRun(s string) (before, run, after string) {
	start := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] >= 'a' && s[i] <= 'f') {
			continue
		}
		if n := i - start; n >= shortest {
			end := start + n/2*2
			return s[:start], s[start:end], s[end:]
		}
		start = i + 1
	}
	return s, "", ""
}

func hexValue(digit byte) byte {
	if digit >= 'a' {
		return digit - 'a' + 10
	}
	return digit - '0'
}

// Reader reads what a Writer wrote, in the same order.
type Reader struct {
	// Rest is what was not read yet.
	Rest   []byte
	buffer []byte // a text that is put together
}

// Number reads what Writer.Number wrote.
func (r *Reader) Number() uint64 {
	n, size := binary.Uvarint(r.Rest)
	r.Rest = r.Rest[size:]
	return n
}

// Signed reads what Writer.Signed wrote.
func (r *Reader) Signed() int64 {
	n, size := binary.Varint(r.Rest)
	r.Rest = r.Rest[size:]
	return n
}

// Text reads what Writer.Text wrote.
func (r *Reader) Text() string { return string(r.Field()) }

// Field is Text without a copy: it is part of what is read.
func (r *Reader) Field() []byte {
	n := r.Number()
	field := r.Rest[:n]
	r.Rest = r.Rest[n:]
	return field
}

// Digits reads what Writer.Digits wrote.
func (r *Reader) Digits() string {
	runs := r.Number()
	if runs == 0 {
		return r.Text()
	}
	r.buffer = r.buffer[:0]
	for range runs {
		r.buffer = append(r.buffer, r.Field()...)
		r.buffer = hex.AppendEncode(r.buffer, r.Field())
	}
	r.buffer = append(r.buffer, r.Field()...)
	return string(r.buffer)
}

// SkipDigits passes over what Writer.Digits wrote.
func (r *Reader) SkipDigits() {
	for range 2*r.Number() + 1 {
		r.Field()
	}
}

// Join puts a text together of a prefix and the next field.
func (r *Reader) Join(prefix string) string {
	r.buffer = append(append(r.buffer[:0], prefix...), r.Field()...)
	return string(r.buffer)
}
