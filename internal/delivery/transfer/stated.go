// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"crypto/md5" //nolint:gosec // what sources state; see statedSum
	"encoding/hex"
	"hash"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/source"
)

// statedSum compares bytes with what a source states of them: a SHA-256, an MD5, or
// an entity tag that is made of MD5s. It takes two files that were made to have one
// MD5, one on the node and one on the source, to be deceived: an attacker who can do
// that may write to the source.
type statedSum interface {
	io.Writer
	// matchesStated reports whether the bytes so far are those that are stated.
	matchesStated() bool
}

// tagForm is an entity tag of S3: of an object, or of one of so many parts.
var tagForm = regexp.MustCompile(`^"?([0-9a-f]{32})(?:-([0-9]{1,5}))?"?$`)

// partSizes are those that programs cut objects into, in MiB.
var partSizes = []int64{5, 8, 10, 15, 16, 25, 32, 50, 64, 100, 128, 256, 512}

// statedSums returns what can be compared of a file; none if the source states nothing
// that proves bytes.
func statedSums(e source.Entry) []statedSum {
	var sums []statedSum
	kind, sum, _ := strings.Cut(e.Checksum, ":")
	switch digest.Kind(kind) {
	case digest.SHA256:
		sums = append(sums, &wholeSum{digest.NewHash(digest.SHA256), sum})
	case digest.MD5, md5Tag:
		sums = append(sums, tagSums(sum, e.Size)...)
	}
	if len(sums) == 0 {
		sums = tagSums(string(e.Identity), e.Size)
	}
	return sums
}

func tagSums(tag string, size int64) []statedSum {
	match := tagForm.FindStringSubmatch(tag)
	if match == nil {
		return nil
	}
	if match[2] == "" {
		return []statedSum{&wholeSum{digest.NewHash(digest.MD5), match[1]}}
	}
	var sums []statedSum
	parts, _ := strconv.ParseInt(match[2], 10, 64) // it is of digits
	for _, n := range partSizes {
		if n <<= 20; (size+n-1)/n == parts {
			sums = append(sums, &partSum{size: n, left: n, part: md5.New(), want: match[1]}) //nolint:gosec // see above
		}
	}
	return sums
}

// wholeSum is of all bytes.
type wholeSum struct {
	hash.Hash
	want string
}

func (s *wholeSum) matchesStated() bool { return hex.EncodeToString(s.Sum(nil)) == s.want }

// partSum is the MD5 of the MD5s of parts.
type partSum struct {
	size, left int64
	part       hash.Hash
	sums       []byte
	want       string
}

func (s *partSum) Write(p []byte) (int, error) {
	written := len(p)
	for len(p) > 0 {
		n := min(int64(len(p)), s.left)
		s.part.Write(p[:n]) // a hash never fails
		p, s.left = p[n:], s.left-n
		if s.left == 0 {
			s.endPart()
		}
	}
	return written, nil
}

func (s *partSum) endPart() {
	s.sums = s.part.Sum(s.sums)
	s.part.Reset()
	s.left = s.size
}

func (s *partSum) matchesStated() bool {
	if s.left < s.size {
		s.endPart()
	}
	sum := md5.Sum(s.sums) //nolint:gosec // see above
	return hex.EncodeToString(sum[:]) == s.want
}
