// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"io"
	"strings"

	"github.com/kuda-io/kuda/internal/cli/doctor/advice"
	"github.com/kuda-io/kuda/internal/cli/frame"
)

// severityWidth is that of the longest severity and a gap.
const severityWidth = 9

var tones = map[advice.Severity]frame.Tone{
	advice.OK: frame.Good, advice.Warning: frame.Warning, advice.Problem: frame.Bad, unknown: frame.Faint,
}

// renderReport writes the findings for people: a line each, and below it why and what
// to do. Commands have lines of their own, to be copied.
func renderReport(w io.Writer, s frame.Screen, r Report) error {
	var b strings.Builder
	for i := range r.Findings {
		f := &r.Findings[i]
		b.WriteString(s.Paint(tones[f.Severity], fmt.Sprintf("%-*s", severityWidth, f.Severity)))
		if f.Object != nil {
			b.WriteString(s.Paint(frame.Strong, f.Object.String()) + ": ")
		}
		b.WriteString(strings.Join(strings.Fields(f.What), " ") + "\n")
		if f.Why != "" {
			writeLine(&b, "why: "+f.Why)
		}
		for j, do := range f.Do {
			lead := "     "
			if j == 0 {
				lead = "do:  "
			}
			writeLine(&b, lead+do)
		}
	}
	fmt.Fprintf(&b, "\n%s, %s, %d fine", frame.Count(r.Summary.Problems, "problem"), frame.Count(r.Summary.Warnings, "warning"), r.Summary.OK)
	if r.Summary.Unknown > 0 {
		fmt.Fprintf(&b, ", %d could not be looked at (with the rights of an administrator they can)", r.Summary.Unknown)
	}
	b.WriteString("\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func writeLine(b *strings.Builder, text string) {
	b.WriteString(strings.Repeat(" ", severityWidth) + text + "\n")
}
