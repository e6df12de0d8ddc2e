// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/kuda-io/kuda/internal/source"
)

// Limits of what is taken from a driver.
const (
	// maxSize bounds a file, and maxTotal all files of a listing, in bytes: far
	// above what storage systems hold in one file, and far below what overflows.
	maxSize  = 1 << 50
	maxTotal = 1 << 60
	// maxText bounds each of an entry's texts, in bytes; names may be longer than
	// file systems take, since a caller may exclude them.
	maxText = 16 << 10
	// maxIdentity bounds an identity, which every manifest keeps.
	maxIdentity = 4 << 10
)

// sums are the lengths in bytes of the checksums whose meaning is known.
var sums = map[string]int{"sha256": 32, "md5": 16, "crc32c": 4, "crc64nvme": 8}

// listing is what must hold of all entries of one listing together.
type listing struct {
	entries int64
	bytes   int64
	// alone: the first entry was the item itself.
	alone bool
}

// addEntry returns what is wrong with the next entry, or "".
func (l *listing) addEntry(e *source.Entry) string {
	if reason := checkEntry(e); reason != "" {
		return reason
	}
	if l.alone || (e.Path == "" && l.entries > 0) {
		return "it is listed beside the item itself, which is one file then"
	}
	l.alone = e.Path == ""
	l.entries++
	if l.bytes += e.Size; l.bytes > maxTotal {
		return fmt.Sprintf("the sizes that are listed are %d bytes together, which cannot be", l.bytes)
	}
	return ""
}

// checkEntry returns what is wrong with an entry, or "".
func checkEntry(e *source.Entry) string {
	switch {
	case e.Size < 0:
		return fmt.Sprintf("its size is %d", e.Size)
	case e.Size > maxSize:
		return fmt.Sprintf("its size is %d bytes, which cannot be", e.Size)
	case e.Link != "" && e.Size != 0:
		return fmt.Sprintf("it is a symbolic link of %d bytes", e.Size)
	case len(e.Path) > maxText || len(e.Key) > maxText || len(e.Link) > maxText:
		return fmt.Sprintf("its name has more than %d bytes", maxText)
	case len(e.Identity) > maxIdentity:
		return fmt.Sprintf("its identity has more than %d bytes", maxIdentity)
	case strings.ContainsAny(string(e.Identity), "\n\x00"):
		return "its identity has more than one line"
	}
	return checkChecksum(e.Checksum)
}

// checkChecksum returns what is wrong with a checksum; empty when nothing is.
func checkChecksum(checksum string) string {
	if len(checksum) > maxText || strings.ContainsAny(checksum, " \n\x00") {
		return "its checksum is none"
	}
	algorithm, sum, _ := strings.Cut(checksum, ":")
	if want, known := sums[algorithm]; known {
		if raw, err := hex.DecodeString(sum); err != nil || len(raw) != want || strings.ToLower(sum) != sum {
			return fmt.Sprintf("its checksum %.100q is not %s:<%d hex digits>", checksum, algorithm, 2*want)
		}
	}
	return ""
}
