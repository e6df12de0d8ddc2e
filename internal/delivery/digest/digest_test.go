// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package digest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"
)

func TestDigestOfAFileDoesNotDependOnTheBuffer(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), (2*BlockSize+4096)/16)
	var want string
	for _, size := range []int{64 << 10, 1 << 20, 3 << 20, BlockSize, 2 * BlockSize} {
		got, err := Reader(bytes.NewReader(content), XXH3, make([]byte, size))
		if err != nil {
			t.Fatal(err)
		}
		if want == "" {
			want = got
		}
		if got != want {
			t.Errorf("with a buffer of %d bytes the digest is %s, not %s", size, got, want)
		}
	}
}

func TestDigestsTellFilesOfZerosApart(t *testing.T) {
	seen := map[string]int{}
	for _, size := range []int{0, 1, BlockSize - 1, BlockSize, BlockSize + 1, 2 * BlockSize} {
		got, err := Reader(bytes.NewReader(make([]byte, size)), XXH3, make([]byte, 1<<20))
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("%d and %d zeros have the same digest", size, other)
		}
		seen[got] = size
	}
}

func TestSHA256ListingIsWhatSha256sumPrints(t *testing.T) {
	a, b := sha256.Sum256([]byte("a")), sha256.Sum256([]byte("b"))
	listing := NewListing(SHA256)
	listing.Add("dir/a", fmt.Sprintf("sha256:%x", a))
	listing.Add(`odd\b`, fmt.Sprintf("sha256:%x", b))
	want := fmt.Sprintf("sha256:%x", sha256.Sum256(fmt.Appendf(nil, "%x  dir/a\n\\%x  odd\\\\b\n", a, b)))
	if got := listing.Digest(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The digest of a file is compared across versions of Kuda, so it must not change.
func TestDigestsStayWhatTheyWere(t *testing.T) {
	got, err := Reader(bytes.NewReader([]byte("kuda")), XXH3, make([]byte, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	if want := "xxh3:7e2de0016e2f70cecea3346e4c114a50"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
