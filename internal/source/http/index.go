// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package http

import (
	"fmt"
	"strings"
)

// Index is the name of the file that lists a tree: lines of sha256sum(1).
const Index = "SHA256SUMS"

// maxLine is the longest line of an index in bytes.
const maxLine = 8 << 10

// sumLength is that of a SHA-256 in hex.
const sumLength = 64

// parseLine reads "<64 hex digits>  <name>", or with " *" before the name, or
// "SHA256 (<name>) = <64 hex digits>". A leading backslash marks a name with
// escapes.
func parseLine(line string) (sum, name string, err error) {
	line = strings.TrimSuffix(line, "\r")
	rest, escaped := strings.CutPrefix(line, `\`)
	sum, name, ok := parseTagged(rest)
	if !ok && len(rest) > sumLength+2 && rest[sumLength] == ' ' && (rest[sumLength+1] == ' ' || rest[sumLength+1] == '*') {
		sum, name, ok = rest[:sumLength], rest[sumLength+2:], true
	}
	if sum = strings.ToLower(sum); !ok || len(sum) != sumLength || strings.Trim(sum, "0123456789abcdef") != "" {
		return "", "", fmt.Errorf("%s has the line %q, which is not one of sha256sum", Index, line)
	}
	if escaped {
		name = unescape.Replace(name)
	}
	if name = strings.TrimPrefix(name, "./"); name == "" {
		return "", "", fmt.Errorf("%s has the line %q without a name", Index, line)
	}
	return sum, name, nil
}

// parseTagged reads a line of sha256sum --tag.
func parseTagged(line string) (sum, name string, ok bool) {
	rest, ok := strings.CutPrefix(line, "SHA256 (")
	if !ok {
		return "", "", false
	}
	end := strings.LastIndex(rest, ") = ")
	if end < 0 {
		return "", "", false
	}
	return rest[end+len(") = "):], rest[:end], true
}

var unescape = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\r`, "\r")
