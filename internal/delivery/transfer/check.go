// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"hash"
	"io"
	"os"

	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/source"
)

// check computes, while the bytes of a file pass, what the source promised of
// it and what the user asked for. Of what a source can promise:
//
//   - crc32c and crc64nvme are always compared: they cost less than a tenth of
//     receiving and writing, and are put together of the sums of blocks, so
//     ranges may come in any order;
//   - sha256 is always compared: it is a promise that was made on purpose. It
//     doubles the cost, and more;
//   - md5 is compared where the file is small (Options.MD5Bytes): S3 services
//     give it of every object that was stored at once, and it costs several
//     times what all the rest does.
//
// The zero value checks nothing.
type check struct {
	promised string
	crc      *digest.CRC
	sums     []uint64 // of blocks, for crc
	known    []bool   // which of them are; an earlier writer's are not
	ordered  digest.Kind
	inline   hash.Hash // for ordered, where the blocks come one after the other
	sum      string    // for ordered, in the end
}

// newCheck finds out what has to be computed of a file. wanted is the kind of
// digest that the snapshot carries.
func newCheck(e source.Entry, wanted digest.Kind, inOrder bool, md5Bytes int64) check {
	c := check{promised: e.Checksum}
	algorithm := digest.Algorithm(e.Checksum)
	if c.crc = digest.CRCOf(algorithm); c.crc != nil {
		count := digest.BlockCount(e.Size)
		c.sums, c.known = make([]uint64, count), make([]bool, count)
	}
	switch {
	case wanted == digest.SHA256 || algorithm == digest.SHA256:
		c.ordered = digest.SHA256
	case algorithm == digest.MD5 && e.Size <= md5Bytes:
		c.ordered = digest.MD5
	}
	if c.ordered != "" && inOrder && e.Size > smallBytes {
		c.inline = digest.NewHash(c.ordered)
	}
	return c
}

// needsReadBack reports whether the bytes must be read back in order.
func (c *check) needsReadBack() bool { return c.ordered != "" && c.inline == nil }

// hashWhole takes a file that is there at once.
func (c *check) hashWhole(content []byte) {
	if c.crc != nil && len(content) > 0 {
		c.setBlockSum(0, c.crc.Update(0, content))
	}
	if c.ordered != "" {
		h := digest.NewHash(c.ordered)
		h.Write(content)
		c.sum = digest.HashText(c.ordered, h)
	}
}

// addBytes takes the next bytes of a block and returns its sum so far.
func (c *check) addBytes(sum uint64, p []byte) uint64 {
	if c.inline != nil {
		c.inline.Write(p)
	}
	if c.crc != nil {
		sum = c.crc.Update(sum, p)
	}
	return sum
}

// setBlockSum takes the sum of a complete block. Blocks differ from call to call.
func (c *check) setBlockSum(index int, sum uint64) {
	if c.crc != nil {
		c.sums[index], c.known[index] = sum, true
	}
}

// resetSum forgets the bytes of a file that is read from its start again.
func (c *check) resetSum() {
	if c.inline != nil {
		c.inline.Reset()
	}
}

// readBack computes the sums of blocks that an earlier writer left.
func (c *check) readBack(ctx context.Context, in *os.File, size int64, buffer []byte) error {
	for index, known := range c.known {
		if known {
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		var sum uint64
		offset := int64(index) * digest.BlockSize
		for end := min(offset+digest.BlockSize, size); offset < end; {
			n, err := in.ReadAt(buffer[:min(int64(len(buffer)), end-offset)], offset)
			if n == 0 && err != nil {
				if err == io.EOF { // ReadAt returns it as it is
					err = io.ErrUnexpectedEOF
				}
				return err
			}
			sum = c.crc.Update(sum, buffer[:n])
			offset += int64(n)
		}
		c.setBlockSum(index, sum)
	}
	return nil
}

// compareDigest returns a *DigestMismatchError where the promise was not kept. A
// promise that was not to be checked counts as kept.
func (c *check) compareDigest(path string, size int64) error {
	if c.inline != nil {
		c.sum = digest.HashText(c.ordered, c.inline)
	}
	got := c.promised
	switch {
	case c.crc != nil:
		got = c.crc.Text(c.combineSums(size))
	case c.ordered != "" && c.ordered == digest.Algorithm(c.promised):
		got = c.sum
	}
	if got != c.promised {
		return &DigestMismatchError{Path: path, Want: c.promised, Got: got}
	}
	return nil
}

func (c *check) combineSums(size int64) uint64 {
	var sum uint64
	for index, next := range c.sums {
		sum = c.crc.Combine(sum, next, min(digest.BlockSize, size-int64(index)*digest.BlockSize))
	}
	return sum
}
