// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package style

import (
	"go/ast"
	"regexp"
	"strings"

	"github.com/kuda-io/kuda/hack/check/internal/exception"
	"github.com/kuda-io/kuda/hack/check/internal/tree"
)

// These are said otherwise in the doc comment of a function.
var otherVerbs = []struct {
	verb *regexp.Regexp
	mend string
}{
	{regexp.MustCompile(`\b(tells|says|answers) (whether|if)\b`), `write "reports whether"`},
	{regexp.MustCompile(`^\S+ answers\b`), `write "returns" for a result, "replies" for a response`},
	{regexp.MustCompile(`\breports if\b`), `write "reports whether"`},
}

// CheckComments judges the verbs of the doc comments of functions, those of
// interfaces too. "Name returns ..." for results, "reports whether" where the
// one result is a bool.
func CheckComments(files []tree.Go) []exception.Finding {
	var findings []exception.Finding
	for _, g := range files {
		if g.IsGenerated() {
			continue
		}
		ast.Inspect(g.AST, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				findings = append(findings, checkComment(g, n.Name, n.Doc, n.Type)...)
			case *ast.InterfaceType:
				for _, m := range n.Methods.List {
					if t, ok := m.Type.(*ast.FuncType); ok && len(m.Names) == 1 {
						findings = append(findings, checkComment(g, m.Names[0], m.Doc, t)...)
					}
				}
			}
			return true
		})
	}
	return findings
}

func checkComment(g tree.Go, name *ast.Ident, doc *ast.CommentGroup, t *ast.FuncType) []exception.Finding {
	if doc == nil {
		return nil
	}
	text := strings.Join(strings.Fields(doc.Text()), " ")
	var findings []exception.Finding
	for _, o := range otherVerbs {
		if said := o.verb.FindString(text); said != "" {
			findings = append(findings, exception.Finding{
				ID: "doc-verb", Where: g.Place(doc.Pos()), Message: name.Name + ": \"" + said + "\": " + o.mend})
			return findings
		}
	}
	if text != "" && returnsBool(t) && !strings.Contains(text, "reports whether") && !isTest(name.Name) {
		findings = append(findings, exception.Finding{
			ID: "doc-bool", Where: g.Place(doc.Pos()),
			Message: name.Name + ` returns a bool alone: its comment says "` + name.Name + ` reports whether ..."`})
	}
	return findings
}

// returnsBool reports whether a function has one result, a bool.
func returnsBool(t *ast.FuncType) bool {
	if t.Results == nil || t.Results.NumFields() != 1 {
		return false
	}
	id, ok := t.Results.List[0].Type.(*ast.Ident)
	return ok && id.Name == "bool"
}

func isTest(name string) bool { return strings.HasPrefix(name, "Test") }
