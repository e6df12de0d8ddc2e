// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package compact

import (
	"math"
	"testing"
)

var texts = []string{"", "a", `"`, `""`, ":", "00", "0", "xxh3:00ff", "sha256:0", `"ABCD"`, `W/"x"`, `"00"`, `v1:00"`, `"0011-7"`,
	"0123456", "01234567", "012345678", "x01234567y89abcdefz", `"d41d8cd98f00b204e9800998ecf8427e" md5:d41d8cd98f00b204e9800998ecf8427e`,
	"md5:00FF", "é\x00"}

func TestWhatWasWrittenIsRead(t *testing.T) {
	var w Writer
	numbers := []int64{0, 1, -1, math.MaxInt64, math.MinInt64}
	for _, s := range texts {
		w.Text(s)
		w.Digits(s)
		w.Digits(s)
	}
	for _, n := range numbers {
		w.Signed(n)
		w.Number(uint64(n))
	}
	r := Reader{Rest: w.Bytes}
	for _, want := range texts {
		if got := r.Join("p/"); got != "p/"+want {
			t.Errorf("got %q, want p/%q", got, want)
		}
		if got := r.Digits(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		r.SkipDigits()
	}
	for _, want := range numbers {
		if signed, number := r.Signed(), r.Number(); signed != want || number != uint64(want) {
			t.Errorf("got %d and %d, want %d", signed, number, want)
		}
	}
	if len(r.Rest) > 0 {
		t.Errorf("%d bytes are left", len(r.Rest))
	}
}

func TestHexDigitsTakeHalfOfTheirLength(t *testing.T) {
	var w Writer
	w.Digits(`"d41d8cd98f00b204e9800998ecf8427e"`)
	if len(w.Bytes) > 22 {
		t.Errorf("got %d bytes", len(w.Bytes))
	}
}
