// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Tone is what a piece of text means; a screen with colours shows it.
type Tone int

// The tones.
const (
	Plain Tone = iota
	Good
	Warning
	Bad
	Faint
	Strong
)

var codes = map[Tone]string{Good: "32", Warning: "33", Bad: "31", Faint: "2", Strong: "1"}

const columnGap = 3

// Paint colours text, where the screen shows colours.
func (s Screen) Paint(t Tone, text string) string {
	code := codes[t]
	if !s.Color || code == "" || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Cell is a piece of text and what it means.
type Cell struct {
	Text string
	Tone Tone
}

// Text makes a plain cell.
func Text(s string) Cell { return Cell{Text: s} }

// Toned makes a cell that means something.
func Toned(t Tone, s string) Cell { return Cell{Text: s, Tone: t} }

// Table is rows under a header. What does not fit the screen is cut, from the
// right.
type Table struct {
	Header []string
	Rows   [][]Cell
}

// Add adds a row.
func (t *Table) Add(cells ...Cell) { t.Rows = append(t.Rows, cells) }

// Write prints the table. A column that is empty in every row is left out.
func (t *Table) Write(w io.Writer, s Screen) error {
	_, err := io.WriteString(w, strings.Join(append(t.Lines(s), ""), "\n"))
	return err
}

// Lines renders the table; no line is wider than the screen. A header of empty
// names only tells the number of columns.
func (t *Table) Lines(s Screen) []string {
	widths := t.columnWidths()
	var lines []string
	if strings.Join(t.Header, "") != "" {
		header := make([]Cell, len(t.Header))
		for i, name := range t.Header {
			header[i] = Toned(Faint, name)
		}
		lines = append(lines, renderRow(header, widths, s))
	}
	for _, cells := range t.Rows {
		lines = append(lines, renderRow(cells, widths, s))
	}
	return lines
}

// columnWidths returns each column's width; -1 for one that is left out.
func (t *Table) columnWidths() []int {
	widths := make([]int, len(t.Header))
	for i := range widths {
		widths[i] = -1
	}
	for _, cells := range t.Rows {
		for i, cell := range cells {
			if cell.Text != "" {
				widths[i] = max(widths[i], Width(cell.Text), Width(t.Header[i]))
			}
		}
	}
	return widths
}

func renderRow(cells []Cell, widths []int, s Screen) string {
	var b strings.Builder
	at, gap := 0, 0
	for i, cell := range cells {
		if widths[i] < 0 {
			continue
		}
		text := OneLine(cell.Text)
		if s.Width > 0 {
			text = Cut(text, max(s.Width-at-gap, 0))
		}
		if text != "" {
			b.WriteString(strings.Repeat(" ", gap))
			b.WriteString(s.Paint(cell.Tone, text))
			at += gap + Width(text)
			gap = 0
		}
		gap += widths[i] - Width(text) + columnGap
	}
	return b.String()
}

// OneLine makes text fit for a line of a terminal: white space in a row is one
// space where it is not plain, and what would steer the terminal, or show text in
// another order than it has, is a sign for what cannot be shown. Much of what is
// printed was written by others.
func OneLine(s string) string {
	if strings.ContainsAny(s, "\n\r\t") {
		s = strings.Join(strings.Fields(s), " ")
	}
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return utf8.RuneError
		}
		return r
	}, s)
}
