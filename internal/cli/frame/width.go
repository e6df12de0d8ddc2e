// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"strings"

	"github.com/mattn/go-runewidth"
)

const ellipsis = "…"

// cells counts as terminals do today: a Chinese character takes two cells, and one
// whose width the Unicode standard leaves open, such as "…", takes one.
var cells = &runewidth.Condition{}

// Width returns how many cells of a terminal the text takes. It has no colours.
func Width(text string) int { return cells.StringWidth(text) }

// PaintedWidth returns how many cells a line takes that may have colours.
func PaintedWidth(line string) int {
	n := 0
	for {
		start := strings.Index(line, "\x1b[")
		if start < 0 {
			return n + Width(line)
		}
		n += Width(line[:start])
		end := strings.IndexByte(line[start:], 'm')
		if end < 0 {
			return n
		}
		line = line[start+end+1:]
	}
}

// Cut shortens text to at most width cells; a shortened one ends in "…".
func Cut(text string, width int) string {
	if Width(text) <= width {
		return text
	}
	if width < 1 {
		return ""
	}
	return cells.Truncate(text, width, ellipsis)
}
