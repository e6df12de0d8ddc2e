// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"strings"
	"unicode/utf8"
)

// Wrap breaks text into lines of at most width cells, at spaces where there are any.
// Width 0 is no limit.
func Wrap(text string, width int) []string {
	text = OneLine(text)
	if width <= 0 || Width(text) <= width {
		return []string{text}
	}
	w := &wrapper{width: width}
	for word := range strings.FieldsSeq(text) {
		w.add(word)
	}
	if w.line != "" {
		w.flush()
	}
	return w.lines
}

// wrapper fills lines with words.
type wrapper struct {
	width int
	lines []string
	// line is the one that is being filled.
	line string
}

func (w *wrapper) flush() { w.lines, w.line = append(w.lines, w.line), "" }

// add puts a word behind the last one, or onto the next line. A word that has no room on
// a line of its own, and one that may be broken, fills the line.
func (w *wrapper) add(word string) {
	if w.line != "" {
		used := Width(w.line) + 1
		breaks := isWide(word) || Width(word) > w.width
		switch {
		case used >= w.width, used+Width(word) > w.width && !breaks:
			w.flush()
		default:
			w.line += " "
		}
	}
	for word != "" {
		part := headOf(word, w.width-Width(w.line))
		w.line, word = w.line+part, word[len(part):]
		if word != "" {
			w.flush()
		}
	}
}

// isWide reports whether the word has characters between which lines may be broken, as
// Chinese has, which is written without spaces.
func isWide(word string) bool { return Width(word) > utf8.RuneCountInString(word) }

// headOf returns the begin of text that fits the cells: at least one character.
func headOf(text string, width int) string {
	used := 0
	for i, r := range text {
		w := cells.RuneWidth(r)
		if i > 0 && used+w > width {
			return text[:i]
		}
		used += w
	}
	return text
}

// WrapCommand breaks a command so that its lines can be copied into a shell. One with
// quotes is broken like text.
func WrapCommand(command string, width int) []string {
	const joint = ` \`
	if strings.ContainsAny(command, `'"`) || width <= Width(joint) || Width(command) <= width {
		return Wrap(command, width)
	}
	lines := Wrap(command, width-Width(joint))
	for i := range lines[:len(lines)-1] {
		lines[i] += joint
	}
	return lines
}

// narrowScreen is the width below which names of fields have lines of their own.
const narrowScreen = 40

// Fields are lines of a name and a value, whose values are wrapped.
type Fields struct {
	Screen Screen
	// NameWidth is that of the names, with a gap.
	NameWidth int
	// Cut cuts values that are too long instead.
	Cut   bool
	lines []string
}

// Add adds a field. Without a name it goes on with the one before.
func (f *Fields) Add(name string, tone Tone, value string) {
	if f.Cut {
		f.addLines(name, tone, []string{cutToScreen(OneLine(value), f.valueWidth())})
		return
	}
	f.addLines(name, tone, Wrap(value, f.valueWidth()))
}

// AddCommand adds a command, which stays one when it is copied.
func (f *Fields) AddCommand(name, command string) {
	f.addLines(name, Plain, WrapCommand(OneLine(command), f.valueWidth()))
}

// Lines returns all of them.
func (f *Fields) Lines() []string { return f.lines }

func cutToScreen(text string, width int) string {
	if width <= 0 {
		return text
	}
	return Cut(text, width)
}

func (f *Fields) isNarrow() bool {
	return !f.Cut && f.Screen.Width > 0 && f.Screen.Width < narrowScreen
}

func (f *Fields) valueWidth() int {
	switch {
	case f.Screen.Width <= 0:
		return 0
	case f.isNarrow():
		return max(f.Screen.Width-2, 1)
	}
	return max(f.Screen.Width-f.NameWidth, 1)
}

func (f *Fields) addLines(name string, tone Tone, values []string) {
	indent := strings.Repeat(" ", f.NameWidth)
	lead := f.Screen.Paint(Faint, name) + strings.Repeat(" ", max(f.NameWidth-Width(name), 0))
	if name == "" {
		lead = indent
	}
	if f.isNarrow() {
		indent = "  "
		lead = indent
		if name != "" {
			f.lines = append(f.lines, f.Screen.Paint(Faint, Cut(name, f.Screen.Width)))
		}
	}
	for _, value := range values {
		f.lines = append(f.lines, strings.TrimRight(lead+f.Screen.Paint(tone, value), " "))
		lead = indent
	}
}
