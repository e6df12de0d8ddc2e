// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"bytes"
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// File is one text file. Path is relative to the root, with slashes.
type File struct {
	Path string
	Text string
}

// Go is one Go file, parsed with its comments.
type Go struct {
	Path string
	AST  *ast.File
	Set  *token.FileSet
}

// List returns the paths of the files that git knows below a root, and those
// that are new and not ignored. A path that was removed is left out.
func List(ctx context.Context, root string) ([]string, error) {
	cmd := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("listing the files of %s: %w", root, err)
	}
	var paths []string
	for p := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if info, err := os.Lstat(filepath.Join(root, p)); err == nil && info.Mode().IsRegular() {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths), nil
}

// ReadText returns those of the files that are text, without Go files and
// checksums.
func ReadText(root string, paths []string) ([]File, error) {
	var files []File
	for _, p := range paths {
		if ext := path.Ext(p); ext == ".go" || ext == ".sum" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(root, p))
		if err != nil {
			return nil, fmt.Errorf("reading the tree: %w", err)
		}
		if utf8.Valid(data) && !bytes.ContainsRune(data, 0) {
			files = append(files, File{Path: p, Text: string(data)})
		}
	}
	return files, nil
}

// ReadGo returns the Go files, parsed. Files in directories named testdata are
// data, not code, and left out.
func ReadGo(root string, paths []string) ([]Go, error) {
	set := token.NewFileSet()
	var files []Go
	for _, p := range paths {
		if path.Ext(p) != ".go" || strings.Contains("/"+p, "/testdata/") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(root, p))
		if err != nil {
			return nil, fmt.Errorf("reading the tree: %w", err)
		}
		f, err := Parse(set, p, string(data))
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// Parse parses the text of one Go file.
func Parse(set *token.FileSet, path, text string) (Go, error) {
	f, err := parser.ParseFile(set, path, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return Go{}, fmt.Errorf("parsing %s: %w", path, err)
	}
	return Go{Path: path, AST: f, Set: set}, nil
}

// Place returns where a node is, as file:line.
func (g Go) Place(pos token.Pos) string {
	return fmt.Sprintf("%s:%d", g.Path, g.Set.Position(pos).Line)
}

// Dir returns the directory of the file, relative to the root.
func (g Go) Dir() string { return path.Dir(g.Path) }

// IsTest reports whether the file is one of tests.
func (g Go) IsTest() bool { return strings.HasSuffix(g.Path, "_test.go") }

// IsGenerated reports whether a program wrote the file.
func (g Go) IsGenerated() bool { return ast.IsGenerated(g.AST) }

// Funcs returns the functions and methods that the file declares.
func (g Go) Funcs() []*ast.FuncDecl {
	var funcs []*ast.FuncDecl
	for _, d := range g.AST.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			funcs = append(funcs, f)
		}
	}
	return funcs
}
