// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"strconv"
	"strings"

	"github.com/kuda-io/kuda/internal/source"
)

// timeMark stands in a state between an identity and the time at which the
// source says that the file was written.
const timeMark = " @"

// stateIdentity is the part of a state that names one writing of a file: the
// identity, and the time where the source gives one. Some services keep the
// entity tag as an attribute beside the file, and it stays when the file is
// written to in another way.
func stateIdentity(e source.Entry) string {
	if e.Modified.IsZero() {
		return string(e.Identity)
	}
	return string(e.Identity) + timeMark + strconv.FormatInt(e.Modified.Unix(), 10)
}

// isRewritten reports whether two states of one file differ in the time and in
// nothing else. Then it was stored again, with the same bytes, or it was changed
// under an identity that does not tell: neither the identity nor a checksum that
// the source keeps beside the file proves anything about it.
func isRewritten(a, b string) bool {
	if a == b {
		return false
	}
	first, timed1 := cutTime(a)
	second, timed2 := cutTime(b)
	return first == second && first != "" && (timed1 || timed2)
}

// cutTime returns an identity without its time, and reports whether it had one.
func cutTime(identity string) (rest string, ok bool) {
	i := strings.LastIndex(identity, timeMark)
	if i < 0 {
		return identity, false
	}
	if _, err := strconv.ParseInt(identity[i+len(timeMark):], 10, 64); err != nil {
		return identity, false
	}
	return identity[:i], true
}
