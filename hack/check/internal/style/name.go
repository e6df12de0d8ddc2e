// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package style

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/kuda-io/kuda/hack/check/internal/exception"
	"github.com/kuda-io/kuda/hack/check/internal/tree"
)

// MaxOneWord is how many of a hundred unexported functions and methods may have
// a name of one word.
const MaxOneWord = 20

// counted are the directories whose functions count.
var counted = []string{"internal/", "cmd/", "plugin/", "scheduler/"}

// CheckNames judges how many unexported functions and methods have a name of one
// word, tests and Go's idioms (main, init, run, less) included.
func CheckNames(files []tree.Go) []exception.Finding {
	var all int
	short := map[string][]string{}
	n := 0
	for _, g := range files {
		if g.IsGenerated() || !slices.ContainsFunc(counted, func(d string) bool { return strings.HasPrefix(g.Path, d) }) {
			continue
		}
		for _, f := range g.Funcs() {
			if f.Name.IsExported() {
				continue
			}
			all++
			if isOneWord(f.Name.Name) {
				n++
				short[path.Dir(g.Path)] = append(short[path.Dir(g.Path)], g.Place(f.Pos())+" "+f.Name.Name)
			}
		}
	}
	if n*100 <= all*MaxOneWord {
		return nil
	}
	return []exception.Finding{{
		ID: "one-word-names", Where: "the tree",
		Message: fmt.Sprintf("%d of %d unexported functions have a name of one word (%.1f%%, at most %d%%): "+
			"name some of them verb + noun; most are in\n      %s",
			n, all, float64(n)*100/float64(all), MaxOneWord, strings.Join(worst(short), "\n      ")),
	}}
}

// worst returns the names of the three directories that have most of them.
func worst(short map[string][]string) []string {
	dirs := make([]string, 0, len(short))
	for d := range short {
		dirs = append(dirs, d)
	}
	slices.SortFunc(dirs, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(short[b]), len(short[a])), cmp.Compare(a, b))
	})
	var names []string
	for _, d := range dirs[:min(3, len(dirs))] {
		names = append(names, short[d]...)
	}
	return names
}

func isOneWord(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool { return unicode.IsUpper(r) || r == '_' })
}
