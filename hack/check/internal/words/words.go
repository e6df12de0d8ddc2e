// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package words

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/kuda-io/kuda/hack/check/internal/exception"
	"github.com/kuda-io/kuda/hack/check/internal/tree"
)

// forbidden are words that are not written anywhere, and what is written in
// their place. Each stands for its other forms, too.
var forbidden = map[string]string{
	"nobody":    "name what does not: no pod, no runtime, no user",
	"somebody":  "name who does: a user, another process",
	"anybody":   "name who may: any user, any pod",
	"everybody": "name them: all pods, all users",
	"everyone":  "name them: all pods, all users",
	"heed":      "write use, apply, follow",
	"recall":    "write remember, load, read",
	"casualty":  "write failed pods",
	"afford":    "write allow, within the budget",
	"excuse":    "write is not counted, ignore",
}

// otherForms are the forms that a suffix does not make.
var otherForms = map[string]string{"casualties": "casualty"}

// functions are words that no function is named by; in a sentence they are fine.
var functions = map[string]string{
	"turned":  "name what changes",
	"came":    "name what is there now",
	"late":    "name what is delayed, or past which time",
	"tight":   "name what there is too little of",
	"fresh":   "name what is newer than what",
	"station": "name the state",
	"trouble": "write problem, or failure",
}

var (
	// inText matches a word as it is or with a capital.
	inText = regexp.MustCompile(`\b(` + strings.Join(eitherCase(append(slices.Sorted(maps.Keys(forbidden)), "casualties")), "|") +
		`)(s|d|ed|ing|'s)?\b`)
	word = regexp.MustCompile(`[A-Z]?[a-z]+|[A-Z]+`)
)

func eitherCase(names []string) []string {
	for i, w := range names {
		names[i] = "[" + strings.ToUpper(w[:1]) + w[:1] + "]" + w[1:]
	}
	return names
}

// mend returns what to write for a word in any of its forms.
func mend(said string) string {
	said = strings.ToLower(said)
	if base, ok := otherForms[said]; ok {
		said = base
	}
	for _, suffix := range []string{"", "s", "d", "ed", "ing", "'s"} {
		if m, ok := forbidden[strings.TrimSuffix(said, suffix)]; ok {
			return m
		}
	}
	return ""
}

// CheckText judges each line of text files.
func CheckText(files []tree.File) []exception.Finding {
	var findings []exception.Finding
	for _, f := range files {
		findings = append(findings, checkLines(f.Path, 1, f.Text)...)
	}
	return findings
}

func checkLines(path string, line int, text string) []exception.Finding {
	var findings []exception.Finding
	for l := range strings.Lines(text) {
		for _, said := range inText.FindAllString(l, -1) {
			findings = append(findings, exception.Finding{
				ID: "word", Where: fmt.Sprintf("%s:%d", path, line), Message: fmt.Sprintf("%q: %s", said, mend(said))})
		}
		line++
	}
	return findings
}

// CheckGo judges the comments, the strings and the names of functions and tests.
func CheckGo(files []tree.Go) []exception.Finding {
	var findings []exception.Finding
	for _, g := range files {
		for _, group := range g.AST.Comments {
			for _, c := range group.List {
				findings = append(findings, checkLines(g.Path, g.Set.Position(c.Pos()).Line, c.Text)...)
			}
		}
		ast.Inspect(g.AST, func(n ast.Node) bool {
			if s, ok := n.(*ast.BasicLit); ok && s.Kind == token.STRING {
				findings = append(findings, checkLines(g.Path, g.Set.Position(s.Pos()).Line, s.Value)...)
			}
			return true
		})
		for _, f := range g.Funcs() {
			findings = append(findings, checkName(g, f)...)
		}
	}
	return findings
}

func checkName(g tree.Go, f *ast.FuncDecl) []exception.Finding {
	if g.IsGenerated() {
		return nil
	}
	id, where := "function-name", g.Place(f.Name.Pos())
	isTest := g.IsTest() && f.Recv == nil && isTestName(f.Name.Name)
	if isTest {
		// A test keeps its exception when its file moves.
		id, where = "test-name", f.Name.Name
	}
	for _, part := range word.FindAllString(f.Name.Name, -1) {
		m := mend(part)
		if m == "" && !isTest {
			m = functions[strings.ToLower(part)]
		}
		if m != "" {
			return []exception.Finding{{ID: id, Where: where,
				Message: fmt.Sprintf("%s: %s has %q in its name: %s", g.Place(f.Name.Pos()), f.Name.Name, part, m)}}
		}
	}
	return nil
}

// isTestName reports whether the testing package runs a function of that name.
func isTestName(name string) bool {
	return slices.ContainsFunc([]string{"Test", "Fuzz", "Benchmark", "Example"}, func(kind string) bool {
		return strings.HasPrefix(name, kind)
	})
}
