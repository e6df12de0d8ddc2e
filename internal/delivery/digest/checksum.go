// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package digest

import (
	"crypto/md5" //nolint:gosec // what sources promise, against accidents only
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"strings"

	"github.com/minio/crc64nvme"
)

// The algorithms of the checksums that sources promise besides SHA256. They
// find accidents, not forgeries.
const (
	// MD5 must see a file from its start to its end, and costs more than
	// everything else that is done with a byte.
	MD5 Kind = "md5"
	// CRC32C and CRC64NVME can be put together of the sums of parts.
	CRC32C    Kind = "crc32c"
	CRC64NVME Kind = "crc64nvme"
)

// Algorithm returns the part of a checksum before the colon.
func Algorithm(checksum string) Kind {
	kind, _, _ := strings.Cut(checksum, ":")
	return Kind(kind)
}

// NewHash returns the hash of an algorithm that must see all bytes in order:
// SHA256 or MD5.
func NewHash(kind Kind) hash.Hash {
	if kind == MD5 {
		return md5.New() //nolint:gosec // see above
	}
	return sha256.New()
}

// HashText returns the sum of a hash of NewHash as "<kind>:<hex>".
func HashText(kind Kind, h hash.Hash) string {
	return string(kind) + ":" + hex.EncodeToString(h.Sum(nil))
}

// CRC is a cyclic redundancy check.
type CRC struct {
	kind   Kind
	bits   int
	poly   uint64 // reflected: the bit of x^0 is the highest
	update func(crc uint64, p []byte) uint64
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var crcs = map[Kind]*CRC{
	CRC32C: {kind: CRC32C, bits: 32, poly: crc32.Castagnoli, update: func(crc uint64, p []byte) uint64 {
		return uint64(crc32.Update(uint32(crc), castagnoli, p)) // the upper half is 0
	}},
	CRC64NVME: {kind: CRC64NVME, bits: 64, poly: crc64nvme.NVME, update: crc64nvme.Update},
}

// CRCOf returns the CRC of a kind, nil if it is none.
func CRCOf(kind Kind) *CRC { return crcs[kind] }

// Update adds bytes to a sum, which begins with 0.
func (c *CRC) Update(sum uint64, p []byte) uint64 { return c.update(sum, p) }

// Text returns a sum as "<kind>:<hex>".
func (c *CRC) Text(sum uint64) string { return fmt.Sprintf("%s:%0*x", c.kind, c.bits/4, sum) }

// Combine returns the sum of two parts in a row, of which the second is length
// bytes long. A CRC is the remainder of a polynomial, so the first sum is
// multiplied by x to the power of the second part's bits.
func (c *CRC) Combine(first, second uint64, length int64) uint64 {
	one := uint64(1) << (c.bits - 1)
	shift, square := one, one>>8 // x^0, x^8
	for ; length > 0; length >>= 1 {
		if length&1 != 0 {
			shift = c.multiplyModulo(shift, square)
		}
		square = c.multiplyModulo(square, square)
	}
	return c.multiplyModulo(shift, first) ^ second
}

// multiplyModulo multiplies two polynomials modulo the CRC's.
func (c *CRC) multiplyModulo(a, b uint64) uint64 {
	var product uint64
	for bit := uint64(1) << (c.bits - 1); bit != 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
		}
		carry := b & 1
		b >>= 1
		if carry != 0 {
			b ^= c.poly
		}
	}
	return product
}
