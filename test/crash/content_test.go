//go:build integration

// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// content is a file whose bytes are computed where they are asked for: a
// function of the seed and the offset. It costs no memory, and no two parts of
// it, or of two seeds, are alike.
type content struct {
	seed uint64
	size int64
}

// readAt fills p with the bytes from offset on.
func (c content) readAt(p []byte, offset int64) {
	var word [8]byte
	for len(p) > 0 {
		binary.LittleEndian.PutUint64(word[:], mix(c.seed^uint64(offset/8)*0x9e3779b97f4a7c15))
		at := int(offset % 8)
		if at == 0 && len(p) >= 8 {
			copy(p[:8], word[:])
			p, offset = p[8:], offset+8
			continue
		}
		n := copy(p, word[at:])
		p, offset = p[n:], offset+int64(n)
	}
}

// mix is the finalizer of splitmix64.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// reader reads the content as http.ServeContent wants it.
func (c content) reader() io.ReadSeeker { return io.NewSectionReader(readerAt{c}, 0, c.size) }

type readerAt struct{ content }

func (r readerAt) ReadAt(p []byte, offset int64) (int, error) {
	n := min(int64(len(p)), r.size-offset)
	if n <= 0 {
		return 0, io.EOF
	}
	r.readAt(p[:n], offset)
	return int(n), nil
}

// tag is a strong entity tag.
func (c content) tag() string { return fmt.Sprintf("\"%016x-%x\"", mix(c.seed), c.size) }

// matching reads a file and counts the bytes of those pieces of it that are the
// content's.
func (c content) matching(f io.Reader) (matching int64, err error) {
	const piece = 16 << 10
	have, want := make([]byte, piece), make([]byte, piece)
	for offset := int64(0); ; {
		n, err := io.ReadFull(f, have)
		if c.readAt(want[:n], offset); bytes.Equal(have[:n], want[:n]) {
			matching += int64(n)
		}
		offset += int64(n)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return matching, nil
		}
		if err != nil {
			return matching, err
		}
	}
}

// compare reads a file and tells where it differs from the content.
func (c content) compare(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	have, want := make([]byte, 1<<20), make([]byte, 1<<20)
	for offset := int64(0); ; {
		n, err := io.ReadFull(f, have)
		if offset+int64(n) > c.size {
			return fmt.Errorf("%s is longer than %d bytes", path, c.size)
		}
		c.readAt(want[:n], offset)
		if !bytes.Equal(have[:n], want[:n]) {
			return fmt.Errorf("%s has a wrong byte between %d and %d", path, offset, offset+int64(n))
		}
		offset += int64(n)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			if offset != c.size {
				return fmt.Errorf("%s has %d bytes instead of %d", path, offset, c.size)
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
}
