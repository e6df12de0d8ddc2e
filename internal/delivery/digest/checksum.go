// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package digest

import (
	"crypto/md5" //nolint:gosec // what sources promise, against accidents only
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strings"

	"github.com/kuda-io/kuda/internal/crc"
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
type CRC = crc.CRC

var crcs = map[Kind]*CRC{CRC32C: crc.Castagnoli, CRC64NVME: crc.NVME}

// CRCOf returns the CRC of a kind, nil if it is none.
func CRCOf(kind Kind) *CRC { return crcs[kind] }
