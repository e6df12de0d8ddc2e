// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package shorten

import "strings"

const (
	// mark stands at the end of text that was cut.
	mark = "…"
	// unreadable stands for bytes that are not UTF-8.
	unreadable = "\uFFFD"
)

// Text returns the text as valid UTF-8 of at most maxBytes bytes. What does not
// fit is cut between characters, and "…" stands in its place.
func Text(text string, maxBytes int) string {
	if len(text) > maxBytes {
		// One character more than fits, so that it is known to be cut.
		text = text[:min(len(text), maxBytes+4)]
	}
	text = strings.ToValidUTF8(text, unreadable)
	if len(text) <= maxBytes {
		return text
	}
	if maxBytes < len(mark) {
		return ""
	}
	return strings.ToValidUTF8(text[:maxBytes-len(mark)], "") + mark
}
