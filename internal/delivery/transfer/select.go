// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/source"
)

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// checkFields finds requests that can never be served.
func (r *Request) checkFields() error {
	misconfigured := func(format string, args ...any) error {
		return &source.Error{Op: "reading the request", Class: source.ErrMisconfigured, Err: fmt.Errorf(format, args...)}
	}
	if r.Digest != "" && !digestForm.MatchString(r.Digest) {
		return misconfigured("digest %q is not sha256:<64 hex digits>", r.Digest)
	}
	for _, pattern := range append(append([]string{}, r.Include...), r.Exclude...) {
		if !doublestar.ValidatePattern(pattern) {
			return misconfigured("the pattern %q is malformed", pattern)
		}
	}
	return nil
}

// isSelected reports whether a file of a tree is to be delivered.
func (r *Request) isSelected(name string) bool {
	for _, pattern := range r.Exclude {
		if doublestar.MatchUnvalidated(pattern, name) {
			return false
		}
	}
	if len(r.Include) == 0 {
		return true
	}
	for _, pattern := range r.Include {
		if doublestar.MatchUnvalidated(pattern, name) {
			return true
		}
	}
	return false
}

// names are the files and directories that a listing has claimed so far.
type names struct {
	files map[string]int // to their places in the listing
	dirs  map[string]bool
	links map[string]string // to their targets
}

func newNames() names {
	return names{files: map[string]int{}, dirs: map[string]bool{}, links: map[string]string{}}
}

// findPath returns the place of a path that was claimed before.
func (n names) findPath(name string) (at int, found bool) {
	if name == "" {
		name = snapshot.FileName
	}
	at, found = n.files[name]
	return at, found
}

// claimName checks the name of a listed file and takes it for the file at a place in
// the listing. It returns the path in the snapshot.
func (n names) claimName(e source.Entry, at int) (string, error) {
	if e.Path == "" {
		if len(n.files) > 0 {
			return "", invalidPathError(e.Key, "it is listed beside other files as the item itself")
		}
		if e.Link != "" {
			return "", invalidPathError(e.Key, "the item itself is a symbolic link; name what it leads to")
		}
		n.files[snapshot.FileName] = at
		return snapshot.FileName, nil
	}
	if err := source.CheckPath(e.Path); err != nil {
		return "", err
	}
	if _, again := n.files[e.Path]; again {
		return "", invalidPathError(e.Path, "it is listed twice")
	}
	if n.dirs[e.Path] {
		return "", invalidPathError(e.Path, "other objects use it as a directory")
	}
	for dir := path.Dir(e.Path); dir != "." && !n.dirs[dir]; dir = path.Dir(dir) {
		if _, file := n.files[dir]; file {
			return "", invalidPathError(e.Path, fmt.Sprintf("%q is a file", dir))
		}
		n.dirs[dir] = true
	}
	n.files[e.Path] = at
	if e.Link != "" {
		n.links[e.Path] = e.Link
	}
	return e.Path, checkLink(e)
}

// maxHops is how many links the kernel follows in one path.
const maxHops = 40

// checkLinks refuses links that leave the item by way of each other: where a
// directory in the middle of a target is a link itself, ".." behind it is not
// where the text says. It is for the end of a listing, when all are known.
func (n names) checkLinks() error {
	for link := range n.links {
		if n.leavesTree(link) {
			return invalidPathError(link, fmt.Sprintf("it is a symbolic link to %q, outside the item by way of other links", n.links[link]))
		}
	}
	return nil
}

// leavesTree reports whether a link leads out of the tree. It walks to the target as the
// kernel does.
func (n names) leavesTree(link string) bool {
	at, rest := path.Dir(link), strings.Split(n.links[link], "/")
	for hops := 0; len(rest) > 0 && hops < maxHops; {
		segment := rest[0]
		rest = rest[1:]
		switch segment {
		case "", ".":
			continue
		case "..":
			if at == "." {
				return true
			}
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, segment)
		if target, ok := n.links[next]; ok {
			hops++
			rest = append(strings.Split(target, "/"), rest...)
			continue
		}
		at = next
	}
	return false
}

func invalidPathError(name, reason string) error {
	return &source.InvalidPathError{Name: name, Reason: reason}
}

// checkLink refuses symbolic links that leave the item.
func checkLink(e source.Entry) error {
	if e.Link == "" {
		return nil
	}
	target := path.Join(path.Dir(e.Path), e.Link)
	if path.IsAbs(e.Link) || target == ".." || strings.HasPrefix(target, "../") || strings.ContainsRune(e.Link, 0) {
		return invalidPathError(e.Path, fmt.Sprintf("it is a symbolic link to %q, outside the item", e.Link))
	}
	return nil
}

// errNothing is the error of an item without files.
func errNothing(r *Request, listed int) error {
	reason := errors.New("nothing is stored there")
	if listed > 0 {
		reason = fmt.Errorf("include and exclude leave no file of %d", listed)
	}
	return &source.Error{Op: "listing " + r.Path, Class: source.ErrNotFound, Err: reason}
}
