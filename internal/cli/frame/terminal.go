// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"os"

	"golang.org/x/term"
)

// Widths and heights where the terminal does not say.
const (
	defaultWidth  = 100
	defaultHeight = 40
)

// Screen is what the output can show.
type Screen struct {
	// Live: it is a terminal whose lines can be drawn again.
	Live bool
	// Color: colours are wanted.
	Color bool
	// Width and Height in cells; 0 where there is no limit.
	Width, Height int
}

// Screen asks the output what it can show. It is asked anew for each drawing:
// windows change.
func (f *Frame) Screen() Screen {
	file, ok := f.Out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return Screen{}
	}
	s := Screen{Live: os.Getenv("TERM") != "dumb", Width: defaultWidth, Height: defaultHeight}
	// no-color.org: any value but an empty one switches them off.
	s.Color = s.Live && os.Getenv("NO_COLOR") == ""
	if width, height, err := term.GetSize(int(file.Fd())); err == nil && width > 0 && height > 0 {
		s.Width, s.Height = width, height
	}
	return s
}
