// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"errors"
	"fmt"
	"io"
)

// maxPart is the most that is read of a manifest from a stranger before a part of it
// ends: the header, or one entry. What Kuda writes has a few kilobytes. The memory that
// reading takes is a small multiple of this.
const maxPart = 256 << 10

// DecodeHeader reads the header of a manifest that others may have written; see
// ReadHeader. Errors of r are passed on, all others are ErrDamaged.
func DecodeHeader(r io.Reader) (*Manifest, error) {
	m := &Manifest{}
	if err := decodeStranger(r, m, nil); err != nil {
		return nil, err
	}
	return m, nil
}

// DecodeEntries is DecodeHeader that also calls each for every entry, in their order, and
// keeps none: the memory that it takes does not depend on the number of files. An error of
// each ends it and is passed on.
func DecodeEntries(r io.Reader, each func(Entry) error) (*Manifest, error) {
	m := &Manifest{}
	if err := decodeStranger(r, m, each); err != nil {
		return nil, err
	}
	return m, nil
}

func decodeStranger(r io.Reader, m *Manifest, each func(Entry) error) error {
	source := &partReader{r: r, left: maxPart}
	var passed error
	before, follows := "", false
	add := func(e Entry) error {
		if err := checkEntry(e, follows, before); err != nil {
			return err
		}
		before, follows = e.Path, true
		source.left = maxPart
		passed = each(e)
		return passed
	}
	if each == nil {
		add = nil
	}
	err := decodeManifest(source, m, add)
	switch {
	case err == nil:
		return nil
	case passed != nil:
		return passed
	case source.err != nil:
		return fmt.Errorf("reading the manifest: %w", source.err)
	}
	return fmt.Errorf("reading the manifest: %w: %w", ErrDamaged, err)
}

// errPart is of a manifest with a part that Kuda never writes.
var errPart = errors.New("a part of it is too large")

// partReader reads a bounded number of bytes for each part.
type partReader struct {
	r    io.Reader
	left int
	// err is what r failed with.
	err error
}

func (p *partReader) Read(b []byte) (int, error) {
	if p.left <= 0 {
		return 0, errPart
	}
	n, err := p.r.Read(b[:min(len(b), p.left)])
	p.left -= n
	if err != nil && !errors.Is(err, io.EOF) {
		p.err = err
	}
	return n, err
}
