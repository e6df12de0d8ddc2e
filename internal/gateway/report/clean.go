// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"math"
	"regexp"
	"strings"
	"time"
	"unicode"

	"k8s.io/apimachinery/pkg/util/validation"
)

const (
	// maxItemMessage keeps the sum of all items' messages far below what an
	// object may hold, and has room for the 2 KiB of a hook's output.
	maxItemMessage = 3 << 10
	clockSkew      = 10 * time.Minute
)

var (
	earliest = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

	wordPattern   = regexp.MustCompile(`^[A-Z][A-Za-z0-9]{0,63}$`)
	digestPattern = regexp.MustCompile(`^[a-z0-9]{1,16}:[a-f0-9]{8,128}$`)
)

// word accepts a CamelCase reason.
func word(s string) string {
	if wordPattern.MatchString(s) {
		return s
	}
	return ""
}

func digest(s string) string {
	if digestPattern.MatchString(s) {
		return s
	}
	return ""
}

func objectName(s string) string {
	if len(validation.IsDNS1123Subdomain(s)) == 0 {
		return s
	}
	return ""
}

// text makes s harmless to print: valid UTF-8 without control characters other
// than line ends and tabs, and not longer than limit bytes. The end is kept,
// where the output of a hook is.
func text(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if len(s) <= limit {
		return s
	}
	const gap = " … "
	head := (limit - len(gap)) / 4
	tail := limit - len(gap) - head
	return strings.ToValidUTF8(s[:head], "") + gap + strings.ToValidUTF8(s[len(s)-tail:], "")
}

func count(n uint64) int64 { return int64(min(n, math.MaxInt64)) }
