// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package frame

import "testing"

func TestTheNearestNameIsSuggested(t *testing.T) {
	names := []string{"models", "rules", "web-0", "web-1", "web-6b9c7d-x2x4z", "词典"}
	for word, want := range map[string]string{
		"modles": "models", "model": "models", "Models": "models", "rule": "rules", "web0": "web-0", "web-6b9c7d": "web-6b9c7d-x2x4z",
		"词点": "词典", "images": "", "x": "", "": "",
	} {
		if got := nearName(word, names); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}

func TestTheEditDistanceCountsASwapAsOne(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "ab", 2}, {"ab", "", 2}, {"status", "status", 0}, {"stauts", "status", 1}, {"statu", "status", 1},
		{"sttus", "status", 1}, {"stetus", "status", 1}, {"kitten", "sitting", 3}, {"词典", "词点", 1},
	} {
		if got := editDistance(c.a, c.b); got != c.want {
			t.Errorf("%s, %s: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
