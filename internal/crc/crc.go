// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package crc

import (
	"fmt"
	"hash/crc32"

	"github.com/minio/crc64nvme"
)

// CRC is a cyclic redundancy check.
type CRC struct {
	name   string
	bits   int
	poly   uint64 // reflected: the bit of x^0 is the highest
	update func(crc uint64, p []byte) uint64
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Castagnoli is CRC-32C, and NVME the CRC-64 of NVM Express.
var (
	Castagnoli = &CRC{name: "crc32c", bits: 32, poly: crc32.Castagnoli, update: func(crc uint64, p []byte) uint64 {
		return uint64(crc32.Update(uint32(crc), castagnoli, p)) // the upper half is 0
	}}
	NVME = &CRC{name: "crc64nvme", bits: 64, poly: crc64nvme.NVME, update: crc64nvme.Update}
)

// Update adds bytes to a sum, which begins with 0.
func (c *CRC) Update(sum uint64, p []byte) uint64 { return c.update(sum, p) }

// Text returns a sum as "<name>:<hex>".
func (c *CRC) Text(sum uint64) string { return fmt.Sprintf("%s:%0*x", c.name, c.bits/4, sum) }

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
