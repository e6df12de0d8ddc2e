// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package bytesize

import (
	"testing"
	"unicode/utf8"
)

func TestASizeIsPrintedInTheLargestUnitThatFits(t *testing.T) {
	const gib = 1 << 30
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 3 * gib / 2: "1.5 GiB", 1 << 62: "4.0 EiB"} {
		if got := Text(n); got != want || utf8.RuneCountInString(got) > 10 {
			t.Errorf("%d: %s, want %s, of at most 10 cells", n, got, want)
		}
	}
}
