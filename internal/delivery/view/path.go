// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// controlDir is the only name in the view that items cannot have.
const controlDir = ".kuda"

// maxName is what a file name may have, in bytes.
const maxName = 255

var (
	// ErrNoPrevious says that there is no tree to go back to.
	ErrNoPrevious = errors.New("no previous revision is on disk")
	// ErrNotPrepared says that Prepare has not built the revision that Switch was asked for.
	ErrNotPrepared = errors.New("revision is not prepared")
)

// InvalidPathError says that a name cannot be used in the view.
type InvalidPathError struct {
	Path   string
	Reason string
}

func (e *InvalidPathError) Error() string {
	return fmt.Sprintf("invalid path %q: %s", e.Path, e.Reason)
}

// PathConflictError says that two items want the same place.
type PathConflictError struct {
	// Path is what the refused item wants.
	Path string
	// DataSet and Other say who has it, and where.
	DataSet string
	Other   string
	// First says that the other DataSet comes before this one in every pod.
	First bool
}

func (e *PathConflictError) Error() string {
	if e.First {
		return fmt.Sprintf("%q conflicts with %q of DataSet %s, which was created first and has the place in every pod; give one of "+
			"them another localPath",
			e.Path, e.Other, e.DataSet)
	}
	return fmt.Sprintf("%q conflicts with %q of DataSet %s; give one of them another localPath", e.Path, e.Other, e.DataSet)
}

// cleanLocal makes an item's local path relative and clean, or refuses it.
func cleanLocal(p string) (string, error) {
	c := strings.Trim(p, "/")
	if c == "" {
		return "", &InvalidPathError{Path: p, Reason: "names no place below the data directory"}
	}
	for s := range strings.SplitSeq(c, "/") {
		if s == "." || s == ".." {
			return "", &InvalidPathError{Path: p, Reason: "must not contain the segments . or .."}
		}
	}
	c = path.Clean(c)
	if err := checkRelative(c); err != nil {
		return "", err
	}
	if first, _, _ := strings.Cut(c, "/"); first == controlDir {
		return "", &InvalidPathError{Path: p, Reason: controlDir + " is Kuda's own"}
	}
	return c, nil
}

// checkRelative refuses what is not a clean path below some directory.
func checkRelative(p string) error {
	if strings.ContainsRune(p, 0) || !filepath.IsLocal(p) || path.Clean(p) != p || p == "." {
		return &InvalidPathError{Path: p, Reason: "not a clean relative path"}
	}
	for s := range strings.SplitSeq(p, "/") {
		if len(s) > maxName {
			return &InvalidPathError{Path: p, Reason: fmt.Sprintf("a segment has more than %d bytes", maxName)}
		}
	}
	return nil
}

// checkLink refuses the target of a link at p (both below an item) that leaves
// the item.
func checkLink(p, target string) error {
	if target == "" || strings.ContainsRune(target, 0) || path.IsAbs(target) ||
		!filepath.IsLocal(path.Join(path.Dir(p), target)) {
		return &InvalidPathError{Path: p, Reason: fmt.Sprintf("links to %q, outside of its item", target)}
	}
	return nil
}

func checkDataSet(name string) error {
	if name == "" || name[0] == '.' || len(name) > maxName || strings.ContainsAny(name, "/\x00") {
		return &InvalidPathError{Path: name, Reason: "not a DataSet's name"}
	}
	return nil
}

// isWithin reports whether p is dir or below it.
func isWithin(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, dir+"/")
}

// outermostPaths returns the paths that are not below another one of them, sorted.
func outermostPaths(paths []string) []string {
	sorted := slices.Clone(paths)
	slices.SortFunc(sorted, func(a, b string) int {
		return strings.Compare(a+"/", b+"/")
	})
	var out []string
	for _, p := range sorted {
		if len(out) == 0 || !isWithin(p, out[len(out)-1]) {
			out = append(out, p)
		}
	}
	return out
}

// findConflict finds the first of paths that collides with one of taken.
func findConflict(paths []string, taken map[string][]string) *PathConflictError {
	names := make([]string, 0, len(taken))
	for ds := range taken {
		names = append(names, ds)
	}
	slices.Sort(names)
	for _, p := range paths {
		for _, ds := range names {
			for _, t := range taken[ds] {
				if isWithin(p, t) || isWithin(t, p) {
					return &PathConflictError{Path: p, DataSet: ds, Other: t}
				}
			}
		}
	}
	return nil
}
