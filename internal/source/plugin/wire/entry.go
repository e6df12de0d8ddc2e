// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"
	"io/fs"
	"unicode/utf8"

	sourcev1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/source/v1alpha1"
	"github.com/kuda-io/kuda/internal/source"
)

// maxSize bounds the size of a file, in bytes, so that the sizes of a whole
// listing can be added.
const maxSize = 1 << 50

// FromEntry returns an entry's message. It fails when the entry breaks the
// protocol's limits.
func FromEntry(e source.Entry) (*sourcev1alpha1.Entry, error) {
	m := &sourcev1alpha1.Entry{
		Path: []byte(e.Path), Key: []byte(e.Key), Size: e.Size, Identity: []byte(e.Identity), Mode: uint32(e.Mode.Perm()),
		Checksum: e.Checksum, Link: []byte(e.Link), NoRanges: e.NoRanges,
	}
	if !utf8.ValidString(e.Checksum) {
		return nil, fmt.Errorf("the checksum of %.100q is not sha256:<hex>", e.Path)
	}
	return m, checkEntry(m)
}

// ToEntry returns the entry of a message. It fails when the message breaks the
// protocol's limits; names are passed on as they are.
func ToEntry(m *sourcev1alpha1.Entry) (source.Entry, error) {
	if err := checkEntry(m); err != nil {
		return source.Entry{}, err
	}
	return source.Entry{
		Path: string(m.GetPath()), Key: string(m.GetKey()), Size: m.GetSize(), Identity: source.Identity(m.GetIdentity()),
		Mode: fs.FileMode(m.GetMode()).Perm(), Checksum: m.GetChecksum(), Link: string(m.GetLink()), NoRanges: m.GetNoRanges(),
	}, nil
}

func checkEntry(m *sourcev1alpha1.Entry) error {
	if n := TextBytes(m); n > MaxEntry {
		return fmt.Errorf("the entry %.100q has %d bytes of text; %d are the most", m.GetPath(), n, MaxEntry)
	}
	if m.GetSize() < 0 || m.GetSize() > maxSize {
		return fmt.Errorf("the entry %.100q has the size %d", m.GetPath(), m.GetSize())
	}
	return nil
}

// TextBytes is how long the texts of an entry are together.
func TextBytes(m *sourcev1alpha1.Entry) int {
	return len(m.GetPath()) + len(m.GetKey()) + len(m.GetIdentity()) + len(m.GetChecksum()) + len(m.GetLink())
}
