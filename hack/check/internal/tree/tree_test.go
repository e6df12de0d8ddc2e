// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFilesThatGitIgnoresAreNotRead(t *testing.T) {
	root := t.TempDir()
	for path, text := range map[string]string{
		".gitignore": "build/\n", "a.md": "text", "b.go": "package b\n", "build/c.md": "built", "d.bin": "\x00\xff", "go.sum": "sums",
		"testdata/e.go": "not Go", "testdata/f.txt": "what a user sees",
	} {
		file := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("git", "-C", root, "init", "--quiet").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	paths, err := List(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	text, err := ReadText(root, paths)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range text {
		got = append(got, f.Path)
	}
	if diff := cmp.Diff([]string{".gitignore", "a.md", "testdata/f.txt"}, got); diff != "" {
		t.Error(diff)
	}
	code, err := ReadGo(root, paths)
	if err != nil {
		t.Fatal(err)
	}
	if len(code) != 1 || code[0].Path != "b.go" || code[0].Place(code[0].AST.Name.Pos()) != "b.go:1" {
		t.Errorf("got %+v", code)
	}
}
