// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"cmp"
	"fmt"
	"go/doc"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/kuda-io/kuda/hack/check/internal/exception"
	"github.com/kuda-io/kuda/hack/check/internal/tree"
)

// Document is the document that Table makes.
const Document = "docs/packages.md"

// parts are the directories that have a table in Document, in this order.
var parts = []string{"api", "cmd", "internal", "plugin", "scheduler", "examples", "test", "hack"}

const head = `# Packages

Each package and what it is for, in the words of its own comment. [Layout](design/000-overview.md#layout) shows how they belong
together, and who may import whom. ` + "`make generate`" + ` writes this page; ` + "`make verify`" +
	` fails when it is not that of the tree.
`

// Package is one package.
type Package struct {
	// Dir is relative to the root.
	Dir string
	// Synopsis is the first sentence of its comment, without its name.
	Synopsis string
}

// Packages returns the packages of Go files, and what has no comment.
func Packages(files []tree.Go) ([]Package, []exception.Finding) {
	found := map[string]string{}
	for _, g := range files {
		if !slices.Contains(parts, topDir(g.Path)) {
			continue
		}
		text := ""
		if g.IsGenerated() {
			text = "generated"
		}
		if g.AST.Doc != nil && !strings.HasSuffix(g.AST.Name.Name, "_test") {
			text = synopsis(g.AST.Doc.Text())
		}
		found[g.Dir()] = cmp.Or(found[g.Dir()], text)
	}
	var (
		packages []Package
		findings []exception.Finding
	)
	for _, dir := range slices.Sorted(maps.Keys(found)) {
		if found[dir] == "" {
			findings = append(findings, exception.Finding{ID: "package-comment", Where: dir, Message: "give it a doc.go that says what it is for"})
		}
		packages = append(packages, Package{Dir: dir, Synopsis: found[dir]})
	}
	return packages, findings
}

var nameOf = regexp.MustCompile(`^(Package|Command) \S+ `)

func synopsis(text string) string {
	s := new(doc.Package).Synopsis(text)
	return strings.TrimRight(nameOf.ReplaceAllString(s, ""), ".:")
}

func topDir(p string) string {
	top, _, _ := strings.Cut(p, "/")
	return top
}

// Table returns the text of Document.
func Table(packages []Package) string {
	var b strings.Builder
	b.WriteString(head)
	for _, part := range parts {
		fmt.Fprintf(&b, "\n## %s\n\n| package | |\n|---|---|\n", part)
		for _, p := range packages {
			if topDir(p.Dir) == part {
				fmt.Fprintf(&b, "| [%s](../%s) | %s |\n", cmp.Or(strings.TrimPrefix(p.Dir, part+"/"), part), p.Dir,
					strings.ReplaceAll(p.Synopsis, "|", "\\|"))
			}
		}
	}
	return b.String()
}

// marker stands in a document above each table of the layout.
const marker = "<!-- layout -->"

// Check compares the tables in a document, blocks of code below a marker, with the
// packages: each directory that a row names exists, and each package is
// in a row, by itself or below a directory of one.
func Check(f tree.File, paths []string, packages []Package) []exception.Finding {
	dirs := directories(paths)
	var findings []exception.Finding
	rows := blocks(f.Text)
	if len(rows) == 0 {
		return []exception.Finding{{ID: "layout", Where: f.Path, Message: fmt.Sprintf("no block of code below %q", marker)}}
	}
	var named []string
	for _, r := range rows {
		for _, dir := range r.dirs {
			if !slices.ContainsFunc(dirs, func(d string) bool { ok, _ := path.Match(dir, d); return ok }) {
				findings = append(findings, exception.Finding{
					ID: "layout", Where: fmt.Sprintf("%s:%d", f.Path, r.line),
					Message: fmt.Sprintf("%s is not in the tree: remove it, or write where it went", dir)})
			}
			named = append(named, dir)
		}
	}
	for _, p := range packages {
		if !slices.ContainsFunc(named, func(dir string) bool { return isBelow(p.Dir, dir) }) {
			findings = append(findings, exception.Finding{
				ID: "layout", Where: fmt.Sprintf("%s:%d", f.Path, rows[0].line), Message: fmt.Sprintf("%s is in no row of the layout: add it", p.Dir)})
		}
	}
	return findings
}

// directories returns all directories that hold files.
func directories(paths []string) []string {
	set := map[string]bool{}
	for _, p := range paths {
		for d := path.Dir(p); d != "."; d = path.Dir(d) {
			set[d] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// isBelow reports whether a directory is one that a row names, or below one.
func isBelow(dir, row string) bool {
	for d := dir; d != "."; d = path.Dir(d) {
		if ok, _ := path.Match(row, d); ok {
			return true
		}
	}
	return false
}

// row is one row of a layout.
type row struct {
	line int
	dirs []string
}

var (
	// leading is what a row begins with: directories, separated by commas.
	leading = regexp.MustCompile(`^\S+/(, \S+/)*`)
	// inside is a directory that the text of a row names, below the row's own.
	inside      = regexp.MustCompile(`(?:^|[ (])([a-z0-9]+(?:/[a-z0-9]+)*)/(?:[,:;.)]|$| )`)
	placeholder = regexp.MustCompile(`<[a-z]+>`)
)

// blocks returns the rows of all blocks below a marker.
func blocks(text string) []row {
	var rows []row
	marked, open := false, false
	line := 0
	for l := range strings.Lines(text) {
		line++
		l = strings.TrimRight(l, "\n")
		switch {
		case l == marker:
			marked = true
		case strings.HasPrefix(l, "```"):
			open = marked && !open
			marked = marked && open
		case open:
			if r := parseRow(l); len(r) > 0 {
				rows = append(rows, row{line: line, dirs: r})
			}
		}
	}
	return rows
}

// parseRow returns the directories that a row names.
func parseRow(l string) []string {
	lead := leading.FindString(l)
	if lead == "" {
		return nil
	}
	var dirs []string
	for _, d := range strings.Split(lead, ", ") {
		dirs = append(dirs, placeholder.ReplaceAllString(strings.TrimSuffix(d, "/"), "*"))
	}
	if len(dirs) == 1 {
		for _, m := range inside.FindAllStringSubmatch(l[len(lead):], -1) {
			dirs = append(dirs, path.Join(dirs[0], m[1]))
		}
	}
	return dirs
}
