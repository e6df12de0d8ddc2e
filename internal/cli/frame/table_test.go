// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"strings"
	"testing"
)

func TestColumnsAlignBesideChineseNames(t *testing.T) {
	table := Table{Header: []string{"ITEM", "PHASE"}}
	table.Add(Text("词典/模型一.bin"), Toned(Good, "Success"))
	table.Add(Text("dictionary/words.bin"), Toned(Bad, "Failed"))
	table.Add(Text("cafe\u0301"), Text("Queued")) // an accent of its own takes no cell
	for _, width := range []int{80, 24} {
		lines := table.Lines(Screen{Width: width, Color: true})
		for _, line := range lines {
			if w := PaintedWidth(line); w > width {
				t.Errorf("%d cells on a screen of %d: %q", w, width, line)
			}
		}
		if width < 30 {
			continue
		}
		for i, phase := range []string{"PHASE", "Success", "Failed", "Queued"} {
			before, _, found := strings.Cut(lines[i], phase)
			if at := PaintedWidth(before); !found || at != len("dictionary/words.bin")+columnGap {
				t.Errorf("%s begins in cell %d: %q", phase, at, lines[i])
			}
		}
	}
}

func TestTextIsCutBetweenCells(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		want  string
	}{
		{"models", 6, "models"},
		{"models", 5, "mode…"},
		{"模型一", 6, "模型一"},
		{"模型一", 5, "模型…"},
		{"模型一", 4, "模…"},
		{"模型一", 1, "…"},
		{"模型一", 0, ""},
	} {
		if got := Cut(c.text, c.width); got != c.want {
			t.Errorf("%q in %d cells: %q, want %q", c.text, c.width, got, c.want)
		}
	}
}
