// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package digest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/zeebo/xxh3"
)

// BlockSize is the length of the blocks of an xxh3 digest in bytes.
const BlockSize = 8 << 20

// Kind is how a digest is computed; it is the prefix of its text.
type Kind string

// The kinds of digest.
const (
	SHA256 Kind = "sha256"
	XXH3   Kind = "xxh3"
)

// KindOf returns the kind that the digests of an item have whose user gave the
// digest want, or "".
func KindOf(want string) Kind {
	if strings.HasPrefix(want, "sha256:") {
		return SHA256
	}
	return XXH3
}

// Sum is the digest of one block.
type Sum [16]byte

// String is the sum in hex.
func (s Sum) String() string { return hex.EncodeToString(s[:]) }

// ParseSum reads what String returns.
func ParseSum(text string) (s Sum, err error) {
	if len(text) != 2*len(s) {
		return s, fmt.Errorf("%q is not the digest of a block", text)
	}
	_, err = hex.Decode(s[:], []byte(text))
	return s, err
}

// Block hashes one block. The zero value is ready.
type Block struct{ h xxh3.Hasher }

// Write adds bytes; it never fails.
func (b *Block) Write(p []byte) { b.h.Write(p) } //nolint:errcheck // a hash never fails

// Sum returns the sum of what was written so far.
func (b *Block) Sum() Sum { return Sum(b.h.Sum128().Bytes()) }

// Next returns the sum of what was written, and starts anew.
func (b *Block) Next() Sum {
	sum := b.Sum()
	b.h.Reset()
	return sum
}

// BlockSum returns the sum of a block that is there as a whole.
func BlockSum(p []byte) Sum { return Sum(xxh3.Hash128(p).Bytes()) }

// BlockCount is the number of blocks of a file.
func BlockCount(size int64) int { return int((size + BlockSize - 1) / BlockSize) }

// Blocks returns the xxh3 digest of the file with these blocks.
func Blocks(size int64, sums []Sum) string {
	var h xxh3.Hasher
	for _, sum := range sums {
		h.Write(sum[:]) //nolint:errcheck // a hash never fails
	}
	var tail [8]byte
	binary.BigEndian.PutUint64(tail[:], uint64(size))
	h.Write(tail[:]) //nolint:errcheck // a hash never fails
	return string(XXH3) + ":" + Sum(h.Sum128().Bytes()).String()
}

// Text returns a SHA-256 as a digest.
func Text(h hash.Hash) string { return HashText(SHA256, h) }

// Reader returns the digest of what r yields. It reads into buffer, which
// divides BlockSize or is divided by it.
func Reader(r io.Reader, kind Kind, buffer []byte) (string, error) {
	if kind == SHA256 {
		h := sha256.New()
		_, err := io.CopyBuffer(h, onlyReader{r}, buffer)
		return Text(h), err
	}
	var (
		sums  []Sum
		size  int64
		block Block
	)
	for {
		n, err := io.ReadFull(r, buffer[:min(len(buffer), int(BlockSize-size%BlockSize))])
		block.Write(buffer[:n])
		size += int64(n)
		if n > 0 && size%BlockSize == 0 {
			sums = append(sums, block.Next())
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return "", err
		}
	}
	if size%BlockSize != 0 {
		sums = append(sums, block.Next())
	}
	return Blocks(size, sums), nil
}

// onlyReader hides WriteTo, with which io.CopyBuffer would go around the buffer.
type onlyReader struct{ io.Reader }

// Listing computes the digest of a tree. Files are added sorted by path.
type Listing struct {
	kind Kind
	h    hash.Hash
}

// NewListing returns an empty listing.
func NewListing(kind Kind) *Listing {
	if kind == SHA256 {
		return &Listing{kind, sha256.New()}
	}
	return &Listing{kind, xxh3.New()}
}

// Add adds a file with its digest, which must be of the listing's kind.
func (l *Listing) Add(path, digest string) {
	_, sum, _ := strings.Cut(digest, ":")
	if strings.Contains(path, `\`) {
		sum, path = `\`+sum, strings.ReplaceAll(path, `\`, `\\`)
	}
	io.WriteString(l.h, sum+"  "+path+"\n") //nolint:errcheck // a hash never fails
}

// Digest of the listing.
func (l *Listing) Digest() string {
	if l.kind == SHA256 {
		return Text(l.h)
	}
	return string(XXH3) + ":" + Sum(l.h.(*xxh3.Hasher).Sum128().Bytes()).String()
}
