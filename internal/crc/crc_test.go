// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package crc

import (
	"bytes"
	"testing"
)

func TestACRCIsTheSameHoweverTheBytesAreCut(t *testing.T) {
	content := bytes.Repeat([]byte("no two parts are alike, or are they? "), 5000)
	for _, crc := range []*CRC{Castagnoli, NVME} {
		want := crc.Update(0, content)
		for _, size := range []int{1, 7, 4096, 65536, len(content) - 1, len(content)} {
			var got uint64
			for rest := content; len(rest) > 0; {
				n := min(size, len(rest))
				got = crc.Combine(got, crc.Update(0, rest[:n]), int64(n))
				rest = rest[n:]
			}
			if got != want {
				t.Errorf("%s in parts of %d: got %s, want %s", crc.name, size, crc.Text(got), crc.Text(want))
			}
		}
		if got := crc.Combine(want, 0, 0); got != want {
			t.Errorf("%s and nothing: got %s", crc.name, crc.Text(got))
		}
	}
}
