// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package shorten

import (
	"fmt"
	"strings"
)

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

// List joins the first words, at most limit of them, and says how many more there are.
func List(words []string, separator string, limit int) string {
	if more := len(words) - limit; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(words[:limit], separator), more)
	}
	return strings.Join(words, separator)
}
