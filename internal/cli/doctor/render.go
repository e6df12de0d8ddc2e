// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"io"
	"strings"

	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/insight/advice"
	"github.com/kuda-io/kuda/internal/insight/doctor"
)

// severityWidth is that of the longest severity and a gap.
const severityWidth = 9

var tones = map[advice.Severity]frame.Tone{
	advice.OK: frame.Good, advice.Warning: frame.Warning, advice.Problem: frame.Bad, doctor.Unknown: frame.Faint,
}

// renderReport writes the findings for people: a line each, and below it why and what
// to do. Text is wrapped; commands have lines of their own, as they are, to be copied.
func renderReport(w io.Writer, s frame.Screen, r doctor.Report) error {
	var b strings.Builder
	for i := range r.Findings {
		f := &r.Findings[i]
		b.WriteString(s.Paint(tones[f.Severity], fmt.Sprintf("%-*s", severityWidth, f.Severity)))
		writeWhat(&b, s, f)
		if f.Why != "" {
			writeText(&b, s, "why: "+f.Why)
		}
		for j, do := range f.Do {
			lead := "     "
			if j == 0 {
				lead = "do:  "
			}
			if strings.HasPrefix(do, "kubectl ") {
				writeLine(&b, lead+do)
			} else {
				writeText(&b, s, lead+do)
			}
		}
	}
	summary := fmt.Sprintf("%s, %s, %d fine", frame.Count(r.Summary.Problems, "problem"), frame.Count(r.Summary.Warnings, "warning"),
		r.Summary.OK)
	if r.Summary.Unknown > 0 {
		summary += fmt.Sprintf(", %d could not be looked at (with the rights of an administrator they can)", r.Summary.Unknown)
	}
	b.WriteString("\n" + strings.Join(frame.Wrap(summary, s.Width), "\n") + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// writeWhat writes the object and what is the matter, beside the severity.
func writeWhat(b *strings.Builder, s frame.Screen, f *doctor.Finding) {
	object, text := "", frame.OneLine(f.What)
	if f.Object != nil {
		object = f.Object.String()
		text = object + ": " + text
	}
	lines := frame.Wrap(text, textWidth(s, severityWidth))
	if rest, whole := strings.CutPrefix(lines[0], object); whole {
		lines[0] = s.Paint(frame.Strong, object) + rest
	}
	b.WriteString(lines[0] + "\n")
	for _, line := range lines[1:] {
		writeLine(b, line)
	}
}

// leadWidth is that of "why: " and "do:  ".
const leadWidth = 5

// writeText wraps text; what goes on stands below what follows the lead.
func writeText(b *strings.Builder, s frame.Screen, text string) {
	lead, rest := text[:leadWidth], text[leadWidth:]
	for _, line := range frame.Wrap(rest, textWidth(s, severityWidth+leadWidth)) {
		writeLine(b, lead+line)
		lead = strings.Repeat(" ", leadWidth)
	}
}

func textWidth(s frame.Screen, indent int) int {
	if s.Width <= 0 {
		return 0
	}
	return max(s.Width-indent, 1)
}

func writeLine(b *strings.Builder, text string) {
	b.WriteString(strings.Repeat(" ", severityWidth) + text + "\n")
}
