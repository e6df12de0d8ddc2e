// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTextIsWrappedAtSpacesAndBetweenChineseCharacters(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		want  []string
	}{
		{"a decision: retry or undo", 0, []string{"a decision: retry or undo"}},
		{"a decision: retry or undo", 12, []string{"a decision:", "retry or", "undo"}},
		{"models/v9/weights.bin", 8, []string{"models/v", "9/weight", "s.bin"}},
		{"at models/v9/weights.bin", 8, []string{"at model", "s/v9/wei", "ghts.bin"}},
		{"词典不存在，请检查路径", 8, []string{"词典不存", "在，请检", "查路径"}},
		{"文件 词典不存在", 9, []string{"文件 词典", "不存在"}},
		{"模型", 1, []string{"模", "型"}},
		{"two\nlines\there", 80, []string{"two lines here"}},
		{"", 10, []string{""}},
	} {
		got := Wrap(c.text, c.width)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%q in %d cells (-want +got):\n%s", c.text, c.width, diff)
		}
	}
}

func FuzzWrap(f *testing.F) {
	f.Add("词典 a decision: models/v9/weights.bin", 12)
	f.Fuzz(func(t *testing.T, text string, width int) {
		width = 2 + max(width%200, 0)
		lines := Wrap(text, width)
		for _, line := range lines {
			if Width(line) > width && len([]rune(line)) > 1 {
				t.Errorf("%q has %d cells of %d", line, Width(line), width)
			}
		}
		squeeze := func(s string) string { return strings.Join(strings.Fields(s), "") }
		if got, want := squeeze(strings.Join(lines, "")), squeeze(OneLine(text)); got != want {
			t.Errorf("%q became %q", want, got)
		}
	})
}

func TestAWrappedCommandStaysOne(t *testing.T) {
	got := WrapCommand("kubectl kuda status models -n shop --watch", 24)
	if diff := cmp.Diff([]string{`kubectl kuda status \`, `models -n shop --watch`}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	quoted := `kubectl patch dataset models -p '{"spec":{"paused":true}}'`
	if got := WrapCommand(quoted, 30); strings.Contains(strings.Join(got, ""), `\`) {
		t.Errorf("a backslash between quotes is part of the word: %q", got)
	}
}

func TestFieldsFitTheScreen(t *testing.T) {
	for width, want := range map[int]string{
		0:  "Waits for   a decision: kubectl kuda retry models",
		30: "Waits for\n  a decision: kubectl kuda\n  retry models",
		44: "Waits for   a decision: kubectl kuda retry\n            models",
	} {
		f := Fields{Screen: Screen{Width: width}, NameWidth: 12}
		f.Add("Waits for", Plain, "a decision: kubectl kuda retry models")
		if diff := cmp.Diff(want, strings.Join(f.Lines(), "\n")); diff != "" {
			t.Errorf("%d cells (-want +got):\n%s", width, diff)
		}
	}
}
