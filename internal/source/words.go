// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxWords is how many bytes of an answer a message quotes.
const maxWords = 120

// FirstWords returns the beginning of an answer that is not what was asked for,
// quoted, for a message: white space is one space, and tags stay as they are.
func FirstWords(answer []byte) string {
	if len(answer) > 4*maxWords {
		answer = answer[:4*maxWords]
	}
	text := strings.Join(strings.FieldsFunc(strings.ToValidUTF8(string(answer), "."), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	if text == "" {
		return "an empty answer"
	}
	if len(text) > maxWords {
		text = text[:maxWords]
		for !utf8.ValidString(text) {
			text = text[:len(text)-1]
		}
		text += cut
	}
	return fmt.Sprintf("%q", Redact(text))
}
