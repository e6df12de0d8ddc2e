// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package digest

import (
	"bytes"
	"testing"
)

// The check value of a CRC is its sum of these digits.
var digits = []byte("123456789")

func TestChecksumsAreThoseOfTheStandards(t *testing.T) {
	for kind, want := range map[Kind]string{CRC32C: "crc32c:e3069283", CRC64NVME: "crc64nvme:ae8b14860a799888"} {
		crc := CRCOf(kind)
		if got := crc.Text(crc.Update(0, digits)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for kind, want := range map[Kind]string{
		MD5:    "md5:25f9e794323b453885f5181f1b624d0b",
		SHA256: "sha256:15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
	} {
		h := NewHash(kind)
		h.Write(digits)
		if got := HashText(kind, h); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestAnUnknownAlgorithmIsNoCRC(t *testing.T) {
	for _, text := range []string{"", "sha256:00", "adler:00", ":", "md5:00"} {
		if crc := CRCOf(Algorithm(text)); crc != nil {
			t.Errorf("%q is taken for %s", text, crc.Text(0))
		}
	}
}

func TestABlockAtOnceHasTheSumOfItsPieces(t *testing.T) {
	for _, size := range []int{0, 1, 16, 240, 241, 1024, 10240, 128 << 10} {
		content := bytes.Repeat([]byte{byte(size), 7}, size)[:size]
		var block Block
		for rest := content; len(rest) > 0; {
			n := min(len(rest), 1000)
			block.Write(rest[:n])
			rest = rest[n:]
		}
		if got, want := BlockSum(content), block.Next(); got != want {
			t.Errorf("%d bytes: %s and %s", size, got, want)
		}
	}
}

func BenchmarkChecksums(b *testing.B) {
	content := make([]byte, 1<<20)
	for _, kind := range []Kind{CRC32C, CRC64NVME} {
		b.Run(string(kind), func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			for b.Loop() {
				crcs[kind].Update(0, content)
			}
		})
	}
	for _, kind := range []Kind{SHA256, MD5} {
		b.Run(string(kind), func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			h := NewHash(kind)
			for b.Loop() {
				h.Write(content)
			}
		})
	}
	b.Run("xxh3", func(b *testing.B) {
		b.SetBytes(int64(len(content)))
		for b.Loop() {
			BlockSum(content)
		}
	})
}
