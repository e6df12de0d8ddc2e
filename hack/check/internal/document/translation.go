// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package document

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/kuda-io/kuda/hack/check/internal/exception"
	"github.com/kuda-io/kuda/hack/check/internal/tree"
)

const (
	english = "docs/"
	chinese = "docs/zh-CN/"
)

// beside are the translated pages that are not below the folder of translations.
var beside = map[string]string{"README.zh-CN.md": "README.md"}

var follows = regexp.MustCompile(`^<!-- follows (\S+) ([0-9a-f]{12}) -->\n`)

// CheckTranslations returns what is wrong with the translated pages among the files: a
// page of docs/ that has no translation, a translation that does not say which state of
// its original it follows or follows an earlier one, one whose headings or blocks of
// code are not those of the original, and Chinese text that touches Latin text.
func CheckTranslations(files []tree.File) []exception.Finding {
	pages := readPages(files)
	var findings []exception.Finding
	for _, name := range sortedNames(pages) {
		switch original := originalOf(name); {
		case original != "":
			findings = append(findings, compare(pages[name], pages[original], original)...)
			findings = append(findings, checkSpacing(pages[name])...)
		case strings.HasPrefix(name, english):
			if translation := chinese + strings.TrimPrefix(name, english); pages[translation].path == "" {
				findings = append(findings, exception.Finding{ID: "untranslated", Where: name,
					Message: fmt.Sprintf("write %s, or say in the exceptions why the page is in English only", translation)})
			}
		}
	}
	return findings
}

// originalOf returns the page that a page is a translation of; "" when it is none.
func originalOf(name string) string {
	if rest, ok := strings.CutPrefix(name, chinese); ok {
		return english + rest
	}
	return beside[name]
}

// compare judges one translation.
func compare(translation, original page, name string) []exception.Finding {
	report := func(id string, line int, format string, args ...any) exception.Finding {
		where := translation.path
		if line > 0 {
			where = fmt.Sprintf("%s:%d", where, line)
		}
		return exception.Finding{ID: id, Where: where, Message: fmt.Sprintf(format, args...)}
	}
	if original.path == "" {
		return []exception.Finding{report("translation", 0,
			"there is no %s that it could be a translation of: remove it, or give it the name of its original", name)}
	}
	current := firstLine(original)
	m := follows.FindStringSubmatch(translation.text)
	switch {
	case m == nil:
		return []exception.Finding{report("translation", 0, "its first line does not say what it follows: it must be\n      %s", current)}
	case m[1] != name:
		return []exception.Finding{report("translation", 1, "it follows %s by its first line, and %s by its name", m[1], name)}
	}
	var differences []exception.Finding
	for _, differ := range []func(a, b page) (int, string){compareHeadings, compareBlocks} {
		if line, message := differ(translation, original); message != "" {
			differences = append(differences, report("translation", line, "%s", message))
		}
	}
	if m[0] == current+"\n" {
		return differences
	}
	// One finding, so that one exception lets the page lag.
	hints := ""
	for _, d := range differences {
		hints += fmt.Sprintf("\n      %s: %s", d.Where, d.Message)
	}
	return []exception.Finding{report("stale-translation", 0,
		"%s has changed since %s: bring the page up to date (git log -p %s shows what changed), then make its first line\n      %s%s",
		name, m[2], name, current, hints)}
}

// firstLine returns the line with which a translation of the page as it is now begins.
func firstLine(original page) string {
	sum := sha256.Sum256([]byte(original.text))
	return fmt.Sprintf("<!-- follows %s %s -->", original.path, hex.EncodeToString(sum[:])[:12])
}

// compareHeadings returns the first place at which the levels of the headings differ.
func compareHeadings(translation, original page) (line int, message string) {
	for i, h := range original.headings {
		if i >= len(translation.headings) {
			return 0, fmt.Sprintf("it has %d headings, and %s has %d: %q, in line %d there, is missing",
				len(translation.headings), original.path, len(original.headings), h.text, h.line)
		}
		if got := translation.headings[i]; got.level != h.level {
			return got.line, fmt.Sprintf("the heading %q has level %d; %q, in line %d of %s, has level %d",
				got.text, got.level, h.text, h.line, original.path, h.level)
		}
	}
	if n := len(original.headings); len(translation.headings) > n {
		h := translation.headings[n]
		return h.line, fmt.Sprintf("the heading %q is one more than %s has", h.text, original.path)
	}
	return 0, ""
}

// compareBlocks returns the first block of code that differs.
func compareBlocks(translation, original page) (line int, message string) {
	for i, b := range original.blocks {
		if i >= len(translation.blocks) {
			return 0, fmt.Sprintf("it has %d blocks of code, and %s has %d: the one in line %d there is missing",
				len(translation.blocks), original.path, len(original.blocks), b.line)
		}
		if got := translation.blocks[i]; got.text != b.text {
			at := differingLine(got.text, b.text)
			return got.line + at, fmt.Sprintf("the block of code differs from that of %s, line %d: copy it as it is, with its comments",
				original.path, b.line+at)
		}
	}
	if n := len(original.blocks); len(translation.blocks) > n {
		return translation.blocks[n].line, fmt.Sprintf("the block of code is one more than %s has", original.path)
	}
	return 0, ""
}

// differingLine returns the number of lines that two texts have in common at their beginning.
func differingLine(a, b string) int {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	n := min(len(as), len(bs))
	for i := range n {
		if as[i] != bs[i] {
			return i
		}
	}
	return n
}

func sortedNames(pages map[string]page) []string { return slices.Sorted(maps.Keys(pages)) }
