// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/kuda-io/kuda/internal/source"
)

// maxMembers is how many members an archive may have: each takes memory.
const maxMembers = 2_000_000

// maxWindow is how much memory in bytes a zstd stream may ask for.
const maxWindow = 128 << 20

// archive is what is known of a layer that is a tar archive.
type archive struct {
	members []member
	// unpacked is the scratch file that holds the archive, nil when its files are
	// read from the blob itself.
	unpacked *scratchFile
}

// member is one of the archive's files, links and directories.
type member struct {
	name string
	kind byte // tar.TypeReg, TypeLink, TypeSymlink, or TypeDir
	mode fs.FileMode
	// size and offset in the archive, of a file.
	size, offset int64
	// target of a link.
	target string
	// checksum of a file in the blob itself: "sha256:<hex>".
	checksum string
}

// readArchive reads a layer once from its start to its end. What it learns holds
// only if the layer's digest is right, so nothing is returned before that.
func (s *Source) readArchive(ctx context.Context, op string, k key, keep bool) (*archive, error) {
	body, err := s.client.openBlob(ctx, op, k.repository, k.blob, k.size, 0, k.size)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	verifier := k.blob.Verifier()
	raw := bufio.NewReaderSize(io.TeeReader(body, verifier), 1<<20)
	a, readErr := s.indexArchive(op, raw, keep)
	if readErr != nil && !errors.Is(readErr, errArchive) {
		if a != nil {
			a.close()
		}
		return nil, readErr
	}
	// The rest counts for the digest, and a wrong digest before a bad archive.
	_, err = io.Copy(io.Discard, raw)
	switch {
	case err != nil:
		err = source.Wrap(ctx, op, err)
	case !verifier.Verified():
		err = &source.Error{Op: op, Class: source.ErrTemporary, Err: fmt.Errorf("the bytes that came do not have the digest %s", k.blob)}
	case readErr != nil:
		err = readErr
	default:
		return a, nil
	}
	if a != nil {
		a.close()
	}
	return nil, err
}

// indexArchive reads an archive. With keep, and if it is compressed, it leaves
// the unpacked archive in a scratch file. It may return an archive beside an
// error.
func (s *Source) indexArchive(op string, raw *bufio.Reader, keep bool) (*archive, error) {
	content, compressed, err := newDecompressor(raw)
	if err != nil {
		return nil, archiveError(op, err)
	}
	a := &archive{}
	if compressed || keep {
		file, err := s.scratch.createFile()
		if err != nil {
			return nil, err
		}
		a.unpacked = file
		content = io.TeeReader(content, file)
	}
	if err := a.indexMembers(&counter{r: content}); err != nil {
		return a, archiveError(op, err)
	}
	if a.unpacked != nil {
		return a, a.unpacked.flush()
	}
	return a, nil
}

// archiveError is the error of an archive that cannot be read, unless it has a class.
func archiveError(op string, err error) error {
	if _, ok := errors.AsType[*source.Error](err); ok {
		return err
	}
	return &source.Error{Op: op, Class: source.ErrMisconfigured, Err: fmt.Errorf("%w: %w", errArchive, err)}
}

// errArchive is why a layer cannot be read whose bytes are the right ones.
var errArchive = errors.New("the layer is not a tar archive that can be read here")

// newDecompressor finds out by its first bytes how a stream is packed.
func newDecompressor(raw *bufio.Reader) (content io.Reader, compressed bool, err error) {
	start, err := raw.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	switch {
	case bytes.HasPrefix(start, []byte{0x1f, 0x8b}):
		content, err = gzip.NewReader(raw)
		return content, true, err
	case bytes.Equal(start, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		// One goroutine less to end: the decoder works in Read.
		d, err := zstd.NewReader(raw, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		return d, true, err
	}
	return raw, false, nil
}

// counter knows how many bytes were read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// indexMembers reads the headers and, where files are to be read from the blob itself,
// hashes each.
func (a *archive) indexMembers(in *counter) error {
	members := tar.NewReader(in)
	sum, buffer := sha256.New(), make([]byte, 256<<10)
	for {
		h, err := members.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		m, ok, err := newMember(h)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if m.kind == tar.TypeReg {
			m.offset = in.n
			if a.unpacked == nil {
				if m.checksum, err = contentDigest(sum, members, buffer); err != nil {
					return err
				}
			}
		}
		if a.members = append(a.members, m); len(a.members) > maxMembers {
			return fmt.Errorf("it has more than %d files", maxMembers)
		}
	}
}

func contentDigest(sum hash.Hash, content io.Reader, buffer []byte) (string, error) {
	sum.Reset()
	// Only Read: WriteTo would go around the buffer.
	if _, err := io.CopyBuffer(sum, struct{ io.Reader }{content}, buffer); err != nil {
		return "", err
	}
	return fmt.Sprintf("sha256:%x", sum.Sum(nil)), nil
}

// newMember reads a header; false for what is left out.
func newMember(h *tar.Header) (m member, ok bool, err error) {
	m = member{name: memberName(h.Name), kind: h.Typeflag, mode: fs.FileMode(h.Mode).Perm(), size: h.Size, target: h.Linkname}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		if m.kind = tar.TypeReg; isSparse(h) {
			return m, false, fmt.Errorf("%q is stored as a sparse file; archive it without --sparse", h.Name)
		}
	case tar.TypeLink:
		m.target = memberName(h.Linkname)
		m.size = 0
	case tar.TypeSymlink:
		m.size = 0
	case tar.TypeDir:
		m.size = 0
	default:
		return m, false, nil // a device, a pipe
	}
	return m, m.name != "" && m.name != ".", nil
}

// memberName cleans a name as tar does when it unpacks one: a slash before it and
// segments that mean nothing go. A name with ".." stays as it is, for the caller
// to refuse: what it leads to depends on links.
func memberName(name string) string {
	if slices.Contains(strings.Split(name, "/"), "..") {
		return name
	}
	return strings.TrimPrefix(path.Clean("/"+name), "/")
}

// isSparse reports whether a file is stored sparse, not as its bytes.
func isSparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for name := range h.PAXRecords {
		if strings.HasPrefix(name, "GNU.sparse.") {
			return true
		}
	}
	return false
}

func (a *archive) close() {
	if a.unpacked != nil {
		a.unpacked.close()
	}
}
