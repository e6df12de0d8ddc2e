// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"archive/tar"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// newLayer makes an archive of lines "name", "dir/", "link -> target" and
// "link = target" (a hard link).
func newLayer(lines ...string) *archive {
	a := &archive{}
	for i, line := range lines {
		m := member{name: line, kind: tar.TypeReg, offset: int64(i), checksum: line}
		if name, target, ok := strings.Cut(line, " -> "); ok {
			m = member{name: name, kind: tar.TypeSymlink, target: target}
		} else if name, target, ok := strings.Cut(line, " = "); ok {
			m = member{name: name, kind: tar.TypeLink, target: target}
		} else if name, ok := strings.CutSuffix(line, "/"); ok {
			m = member{name: name, kind: tar.TypeDir}
		}
		a.members = append(a.members, m)
	}
	return a
}

// flatLines writes a tree as layer's lines; a file of another layer is "name (layer)".
func flatLines(t *tree) (lines []string) {
	for name, node := range t.allFiles("") {
		switch {
		case node.link != "":
			lines = append(lines, name+" -> "+node.link)
		case node.file.checksum != name:
			lines = append(lines, name+" = "+node.file.checksum)
		default:
			lines = append(lines, name)
		}
	}
	return lines
}

func TestLayersOfAnImageAreLaidOverEachOther(t *testing.T) {
	for name, c := range map[string]struct {
		layers []*archive
		want   []string
	}{
		"a later file": {[]*archive{newLayer("a", "b/c"), newLayer("b/c", "d")}, []string{"a", "b/c", "d"}},
		"a whiteout":   {[]*archive{newLayer("a", "b/c", "b/d"), newLayer("b/.wh.c")}, []string{"a", "b/d"}},
		"a whiteout of a directory": {
			[]*archive{newLayer("a", "b/c", "b/d/e"), newLayer(".wh.b")}, []string{"a"}},
		"a whiteout speaks of earlier layers only": {
			[]*archive{newLayer("a"), newLayer("a", ".wh.a")}, []string{"a"}},
		"a whiteout of nothing": {[]*archive{newLayer("a"), newLayer("x/.wh.y", ".wh.z")}, []string{"a"}},
		"an opaque directory": {
			[]*archive{newLayer("a", "b/c", "b/d/e"), newLayer("b/new", "b/.wh..wh..opq")}, []string{"a", "b/new"}},
		"an opaque root":                      {[]*archive{newLayer("a", "b/c"), newLayer(".wh..wh..opq", "d")}, []string{"d"}},
		"a file in place of a directory":      {[]*archive{newLayer("a/b", "a/c"), newLayer("a")}, []string{"a"}},
		"a directory in place of a file":      {[]*archive{newLayer("a"), newLayer("a/", "a/b")}, []string{"a/b"}},
		"a directory that is there already":   {[]*archive{newLayer("a/b"), newLayer("a/")}, []string{"a/b"}},
		"a directory without files":           {[]*archive{newLayer("a", "b/", "c/d/")}, []string{"a"}},
		"a hard link":                         {[]*archive{newLayer("a", "b = a")}, []string{"a", "b = a"}},
		"a hard link to an earlier layer":     {[]*archive{newLayer("a"), newLayer("b = a")}, []string{"a", "b = a"}},
		"a hard link to nothing":              {[]*archive{newLayer("b = a")}, nil},
		"a hard link keeps what it points to": {[]*archive{newLayer("a", "b = a"), newLayer(".wh.a")}, []string{"b = a"}},
		"a file through a link to a directory": {[]*archive{newLayer("usr/lib/a", "lib -> usr/lib"), newLayer("lib/b")},
			[]string{"lib -> usr/lib", "usr/lib/a", "usr/lib/b = lib/b"}},
		"a whiteout through a link": {[]*archive{newLayer("usr/lib/a", "lib -> usr/lib"), newLayer("lib/.wh.a")}, []string{"lib -> usr/lib"}},
		"links from the root": {[]*archive{newLayer("a/b/c -> /etc/x", "d -> /", "e -> /../../x")},
			[]string{"a/b/c -> ../../etc/x", "d -> .", "e -> x"}},
		"a loop of links":         {[]*archive{newLayer("a -> b", "b -> a"), newLayer("a/x")}, []string{"a/x", "b -> a"}},
		"a link out of the image": {[]*archive{newLayer("a -> ../.."), newLayer("a/x")}, []string{"a/x"}},
	} {
		t.Run(name, func(t *testing.T) {
			tree := newTree()
			var err error
			for _, a := range c.layers {
				if err == nil {
					err = tree.addArchive(a, key{}, true)
				}
			}
			if c.want == nil {
				if err == nil {
					t.Errorf("got %q", flatLines(tree))
				}
				return
			}
			if diff := cmp.Diff(c.want, flatLines(tree)); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestWhiteoutsAreFilesInArchivesThatAreNoImages(t *testing.T) {
	tree := newTree()
	for _, a := range []*archive{newLayer("a"), newLayer(".wh.a", "b -> /etc")} {
		if err := tree.addArchive(a, key{}, false); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{".wh.a", "a", "b -> /etc"}, flatLines(tree)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestHostileNamesStayWhatTheyAre(t *testing.T) {
	names := []string{"../up", "/absolute", "a/../../b", "a//c", "d/./e", "f/.."}
	tree := newTree()
	if err := tree.addArchive(newLayer(names...), key{}, true); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, line := range flatLines(tree) {
		got[line] = true
	}
	for _, name := range names {
		if !got[name] {
			t.Errorf("%q is missing in %v", name, got)
		}
	}
}

func TestAPartIsFoundThroughLinks(t *testing.T) {
	tree := newTree()
	if err := tree.addArchive(newLayer("v1/a/b", "current -> v1", "abs -> /v1/a", "up -> ../..", "loop -> loop"), key{}, false); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		"v1": true, "v1/a/b": true, "current/a/b": true, "abs/b": true, "abs": true,
		"up": false, "loop": false, "loop/x": false, "v1/a/b/c": false, "missing": false, "v1/..": false,
	} {
		if _, err := selectPart("", tree, reference{inside: path}); (err == nil) != want {
			t.Errorf("%s: got %v", path, err)
		}
	}
}
