// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package shorten

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTextIsCutBetweenCharacters(t *testing.T) {
	for _, c := range []struct {
		text string
		max  int
		want string
	}{
		{"", 10, ""},
		{"ten bytes!", 10, "ten bytes!"},
		{"eleven byte", 10, "eleven …"},
		{"模型一", 9, "模型一"},
		{"模型一", 8, "模…"},
		{"模型一", 6, "模…"},
		{"模型一", 5, "…"},
		{"模型一", 2, ""},
		{"a\xffb", 10, "a\uFFFDb"},
		{"a\xffb", 4, "a…"},
	} {
		if got := Text(c.text, c.max); got != c.want {
			t.Errorf("%q in %d bytes: %q, want %q", c.text, c.max, got, c.want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("模型一", 5)
	f.Add(strings.Repeat("\xff", 100), 100)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit = min(max(limit, 0), 1<<20)
		got := Text(text, limit)
		if len(got) > limit || !utf8.ValidString(got) {
			t.Errorf("%q in %d bytes: %q", text, limit, got)
		}
		if utf8.ValidString(text) && len(text) <= limit && got != text {
			t.Errorf("%q fits into %d bytes, and it became %q", text, limit, got)
		}
	})
}

func TestAListSaysHowManyAreLeftOut(t *testing.T) {
	words := []string{"a", "b", "c"}
	for limit, want := range map[int]string{1: "a and 2 more", 2: "a; b and 1 more", 3: "a; b; c", 4: "a; b; c"} {
		if got := List(words, "; ", limit); got != want {
			t.Errorf("at most %d: %q, want %q", limit, got, want)
		}
	}
}
