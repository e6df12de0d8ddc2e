// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"archive/tar"
	"fmt"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
)

// The names by which layers of images remove what earlier layers have: the OCI
// image layer specification.
const (
	whiteoutPrefix = ".wh."
	whiteoutOpaque = ".wh..wh..opq"
)

// maxLinks is how many symbolic links in a row are followed.
const maxLinks = 40

// tree is a file, a symbolic link, or a directory of more. Names are taken as
// they are, hostile ones too: a segment may be empty, or "..".
type tree struct {
	parent *tree
	file   *file
	link   string
	// children are not nil in a directory.
	children map[string]*tree
}

// file is where the bytes of a file are.
type file struct {
	key      key
	size     int64
	checksum string
	member   *member // nil: the blob is the file
}

func newTree() *tree { return &tree{children: map[string]*tree{}} }

func (t *tree) rootNode() *tree {
	for t.parent != nil {
		t = t.parent
	}
	return t
}

// putNode puts a node at a place, in place of what is there. The directories above
// are made; one that is a symbolic link is followed.
func (t *tree) putNode(name string, node *tree) {
	segments := strings.Split(name, "/")
	dir := t
	for _, segment := range segments[:len(segments)-1] {
		next := dir.children[segment]
		if next != nil && next.link != "" {
			if target := next.followLink(maxLinks); target != nil {
				next = target
			}
		}
		if next == nil || next.children == nil {
			next = newTree()
			next.parent = dir
			dir.children[segment] = next
		}
		dir = next
	}
	last := segments[len(segments)-1]
	if old := dir.children[last]; old != nil && old.children != nil && node.children != nil {
		return // a directory that is there already keeps what it has
	}
	node.parent = dir
	dir.children[last] = node
}

// findNode returns what is at a place, following symbolic links on the way to it;
// nil for nothing.
func (t *tree) findNode(name string, links int) *tree {
	node := t
	for segment := range strings.SplitSeq(name, "/") {
		if node = node.followLink(links); node == nil || node.children == nil {
			return nil
		}
		if node = node.children[segment]; node == nil {
			return nil
		}
	}
	return node
}

// followLink returns what a symbolic link stands for, and anything else as it is;
// nil for what leads nowhere, or out of the tree.
func (t *tree) followLink(links int) *tree {
	for t != nil && t.link != "" {
		if links--; links < 0 {
			return nil
		}
		target := t.link
		from := t.parent
		if path.IsAbs(target) {
			from = t.rootNode()
		}
		t = from.walkTarget(target, links)
	}
	return t
}

// walkTarget goes along a link's target.
func (t *tree) walkTarget(target string, links int) *tree {
	node := t
	for segment := range strings.SplitSeq(target, "/") {
		if node = node.followLink(links); node == nil || node.children == nil {
			return nil
		}
		switch segment {
		case "", ".":
		case "..":
			if node = node.parent; node == nil {
				return nil
			}
		default:
			if node = node.children[segment]; node == nil {
				return nil
			}
		}
	}
	return node
}

// addArchive lays the members of an archive over the tree. Whiteouts speak of the
// layers before, wherever they stand in the archive, so they come first.
func (t *tree) addArchive(a *archive, blob key, image bool) error {
	if image {
		for i := range a.members {
			t.applyWhiteout(a.members[i].name)
		}
	}
	for i := range a.members {
		m := &a.members[i]
		if image && strings.HasPrefix(path.Base(m.name), whiteoutPrefix) {
			continue
		}
		node, err := t.newNode(m, a, blob, image)
		if err != nil {
			return err
		}
		t.putNode(m.name, node)
	}
	return nil
}

// applyWhiteout removes what a name speaks of, if it is the name of a whiteout.
func (t *tree) applyWhiteout(name string) {
	dir, base := "", name
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		dir, base = name[:i], name[i+1:]
	}
	removed, ok := strings.CutPrefix(base, whiteoutPrefix)
	if !ok {
		return
	}
	node := t
	if dir != "" {
		node = t.findNode(dir, maxLinks).followLink(maxLinks)
	}
	switch {
	case node == nil || node.children == nil:
	case base == whiteoutOpaque:
		clear(node.children)
	default:
		delete(node.children, removed)
	}
}

// newNode is what a member becomes.
func (t *tree) newNode(m *member, a *archive, blob key, image bool) (*tree, error) {
	switch m.kind {
	case tar.TypeDir:
		return newTree(), nil
	case tar.TypeSymlink:
		if image {
			return &tree{link: relativeLink(m.name, m.target)}, nil
		}
		return &tree{link: m.target}, nil
	case tar.TypeLink:
		target := t.findNode(m.target, maxLinks)
		if target == nil || target.children != nil {
			return nil, fmt.Errorf("%q is a hard link to %q, which no layer has", m.name, m.target)
		}
		return &tree{file: target.file, link: target.link}, nil
	}
	place := blob
	place.offset, place.unpacked = m.offset, a.unpacked != nil
	return &tree{file: &file{key: place, size: m.size, checksum: m.checksum, member: m}}, nil
}

// relativeLink makes a link of an image that begins at the image's root one that
// holds wherever the image's files are.
func relativeLink(name, target string) string {
	if !path.IsAbs(target) {
		return target
	}
	up := strings.Repeat("../", strings.Count(name, "/"))
	if target = strings.TrimPrefix(path.Clean(target), "/"); up+target == "" {
		return "."
	}
	return up + target
}

// allFiles yields the files and links below a directory, sorted in each.
func (t *tree) allFiles(prefix string) iter.Seq2[string, *tree] {
	return func(yield func(string, *tree) bool) { t.walkFiles(prefix, yield) }
}

func (t *tree) walkFiles(prefix string, yield func(string, *tree) bool) bool {
	for _, name := range slices.Sorted(maps.Keys(t.children)) {
		child := t.children[name]
		if child.children != nil {
			if !child.walkFiles(prefix+name+"/", yield) {
				return false
			}
		} else if !yield(prefix+name, child) {
			return false
		}
	}
	return true
}
