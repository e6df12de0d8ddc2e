// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"io"
	"strings"

	"github.com/kuda-io/kuda/internal/cli/frame"
)

// Escape sequences that every terminal of today knows.
const (
	cursorHide = "\x1b[?25l"
	cursorShow = "\x1b[?25h"
	lineClear  = "\x1b[2K"
	belowClear = "\x1b[J"
)

// canvas draws lines over those it drew before.
type canvas struct {
	out   io.Writer
	drawn []int // the widths of the lines that are on the screen
}

func (c *canvas) hideCursor() { fmt.Fprint(c.out, cursorHide) }

func (c *canvas) showCursor() { fmt.Fprint(c.out, cursorShow) }

// drawLines writes all of a picture at once, so that none is seen half drawn.
func (c *canvas) drawLines(lines []string, width int) {
	var b strings.Builder
	if up := c.countRows(width); up > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\r", up)
	}
	c.drawn = c.drawn[:0]
	for _, line := range lines {
		b.WriteString(lineClear + line + "\n")
		c.drawn = append(c.drawn, frame.PaintedWidth(line))
	}
	b.WriteString(belowClear)
	fmt.Fprint(c.out, b.String())
}

// countRows is how many rows the last picture takes now: a window that became
// narrower wraps its lines.
func (c *canvas) countRows(width int) int {
	rows := 0
	for _, w := range c.drawn {
		rows++
		if width > 0 && w > width {
			rows += (w - 1) / width
		}
	}
	return rows
}
