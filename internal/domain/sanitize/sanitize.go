// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sanitize

import (
	"math"
	"regexp"
	"strings"
	"time"
	"unicode"

	"google.golang.org/protobuf/types/known/timestamppb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

const clockSkew = 10 * time.Minute

var (
	earliest = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

	wordPattern   = regexp.MustCompile(`^[A-Z][A-Za-z0-9]{0,63}$`)
	digestPattern = regexp.MustCompile(`^[a-z0-9]{1,16}:[a-f0-9]{8,128}$`)
)

// Word accepts a CamelCase reason.
func Word(s string) string {
	if wordPattern.MatchString(s) {
		return s
	}
	return ""
}

// Digest accepts "<algorithm>:<hex>".
func Digest(s string) string {
	if digestPattern.MatchString(s) {
		return s
	}
	return ""
}

// ObjectName accepts what an object may be called.
func ObjectName(s string) string {
	if len(validation.IsDNS1123Subdomain(s)) == 0 {
		return s
	}
	return ""
}

// Text makes s harmless to print: valid UTF-8 without control characters other
// than line ends and tabs, and not longer than limit bytes. The end is kept,
// where the output of a hook is.
func Text(s string, limit int) string {
	return truncateMiddle(removeRunes(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }), limit)
}

// Line is Text of one line: no control characters at all, nor others that
// print nothing and change how the rest looks.
func Line(s string, limit int) string {
	return truncateMiddle(removeRunes(s, func(r rune) bool { return !unicode.IsPrint(r) }), limit)
}

func removeRunes(s string, bad func(rune) bool) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || bad(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}

func truncateMiddle(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	const gap = " … "
	head := (limit - len(gap)) / 4
	tail := limit - len(gap) - head
	return strings.ToValidUTF8(s[:head], "") + gap + strings.ToValidUTF8(s[len(s)-tail:], "")
}

// Count is a number that the API can hold.
func Count(n uint64) int64 { return int64(min(n, math.MaxInt64)) }

// Moment accepts times that can have been: after Kuda's first day, and not in
// the future beyond what clocks differ. It has whole units only, of which the
// API's smallest is a second.
func Moment(t *timestamppb.Timestamp, unit time.Duration, now time.Time) *metav1.Time {
	if t == nil || !t.IsValid() {
		return nil
	}
	at := t.AsTime().Truncate(unit)
	if at.Before(earliest) || at.After(now.Add(clockSkew)) {
		return nil
	}
	return &metav1.Time{Time: at.Local()}
}
