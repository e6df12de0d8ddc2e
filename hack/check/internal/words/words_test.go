// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package words

import (
	"go/token"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/hack/check/internal/exception"
	"github.com/kuda-io/kuda/hack/check/internal/tree"
)

func places(findings []exception.Finding) []string {
	var out []string
	for _, f := range findings {
		out = append(out, f.ID+" "+f.Where)
	}
	return out
}

func TestForbiddenWordsInDocuments(t *testing.T) {
	got := CheckText([]tree.File{
		{Path: "docs/a.md", Text: "# A\n\nNobody can afford it; a user's nobodyfile, NoBody and the callers are fine.\n"},
		{Path: "b.yaml", Text: "# Recalls the casualties, and heeds no excuses.\n"},
	})
	want := []string{"word docs/a.md:3", "word docs/a.md:3", "word b.yaml:1", "word b.yaml:1", "word b.yaml:1", "word b.yaml:1"}
	if diff := cmp.Diff(want, places(got)); diff != "" {
		t.Error(diff)
	}
	for _, f := range got {
		if !strings.Contains(f.Message, "write") && !strings.Contains(f.Message, "name") {
			t.Errorf("it does not say what to do: %s", f.Message)
		}
	}
}

func TestForbiddenWordsInCode(t *testing.T) {
	for text, want := range map[string][]string{
		"// x is for everyone.\nfunc x() {}":                           {"word internal/a/a.go:3"},
		"/*\nx is for everybody\n*/\nfunc x() {}":                      {"word internal/a/a.go:4"},
		"var x = \"somebody's\"":                                       {"word internal/a/a.go:3"},
		"func f() { println(`a\nnobody`) }":                            {"word internal/a/a.go:4"},
		"func heedChange() {}":                                         {"function-name internal/a/a.go:3"},
		"func isFresh() {}":                                            {"function-name internal/a/a.go:3"},
		"func (t) Trouble() {}":                                        {"function-name internal/a/a.go:3"},
		"func refresh() {}\n\nfunc newTemplate() {}":                   nil,
		"// It came late, and has a fresh start.\nvar x = http.NoBody": nil,
	} {
		g, err := tree.Parse(token.NewFileSet(), "internal/a/a.go", "package a\n\n"+text+"\n")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, places(CheckGo([]tree.Go{g}))); diff != "" {
			t.Errorf("%s\n%s", text, diff)
		}
	}
}

func TestForbiddenWordsInNamesOfTests(t *testing.T) {
	text := "package a\n\nfunc TestNobodyReads() {}\n\nfunc TestAFreshFileIsRead() {}\n\nfunc FuzzExcusedPods() {}\n\nfunc heed() {}\n"
	g, err := tree.Parse(token.NewFileSet(), "internal/a/a_test.go", text)
	if err != nil {
		t.Fatal(err)
	}
	got := CheckGo([]tree.Go{g})
	want := []string{"test-name TestNobodyReads", "test-name FuzzExcusedPods", "function-name internal/a/a_test.go:9"}
	if diff := cmp.Diff(want, places(got)); diff != "" {
		t.Fatal(diff)
	}
	if !strings.HasPrefix(got[0].Message, "internal/a/a_test.go:3: ") {
		t.Errorf("it names no place: %s", got[0].Message)
	}
}
