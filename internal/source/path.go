// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// The longest names that file systems here take, in bytes.
const (
	maxSegment = 255
	maxPath    = 3072
)

// InvalidPathError tells that a remote name cannot be used as a file name: it
// would leave the item's directory, clash with another one, or is no name at all.
type InvalidPathError struct {
	// Name of the remote object.
	Name string
	// Reason why it is refused.
	Reason string
}

// Error names the object and the reason.
func (e *InvalidPathError) Error() string {
	return fmt.Sprintf("the name %q cannot be a file here: %s; rename or exclude it", e.Name, e.Reason)
}

// CheckPath returns an *InvalidPathError when a path that a source listed
// cannot be used below a directory: when it is empty, absolute or too long, has
// empty, "." or ".." segments or control characters, or is not UTF-8.
func CheckPath(path string) error {
	if reason := pathProblem(path); reason != "" {
		return &InvalidPathError{Name: path, Reason: reason}
	}
	return nil
}

// ValidPath reports whether CheckPath accepts a path.
func ValidPath(path string) bool { return pathProblem(path) == "" }

func pathProblem(path string) string {
	switch {
	case path == "":
		return "it is empty"
	case len(path) > maxPath:
		return fmt.Sprintf("it is longer than %d bytes", maxPath)
	case !utf8.ValidString(path):
		return "it is not UTF-8"
	case path[0] == '/':
		return "it is absolute"
	}
	for _, r := range path {
		if r < 0x20 || r == 0x7f {
			return "it has a control character"
		}
	}
	for segment := range strings.SplitSeq(path, "/") {
		switch {
		case segment == "":
			return "it has an empty segment"
		case segment == "." || segment == "..":
			return "it has the segment " + segment
		case len(segment) > maxSegment:
			return fmt.Sprintf("it has a segment longer than %d bytes", maxSegment)
		}
	}
	return ""
}
