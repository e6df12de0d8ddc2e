// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package view

// Claim is the places that a DataSet wants.
type Claim struct {
	DataSet    string
	LocalPaths []string
}

// Precedes returns the conflict of a claim with one of those that come before it;
// nil when there is none. Paths that are invalid conflict with nothing here; Prepare
// refuses them.
func Precedes(before []Claim, c Claim) *PathConflictError {
	taken := make(map[string][]string, len(before))
	for _, b := range before {
		taken[b.DataSet] = cleanAll(b.LocalPaths)
	}
	found := findConflict(cleanAll(c.LocalPaths), taken)
	if found != nil {
		found.First = true
	}
	return found
}

func cleanAll(paths []string) []string {
	out := make([]string, 0, len(paths))
	for _, p := range paths {
		if clean, err := cleanLocal(p); err == nil {
			out = append(out, clean)
		}
	}
	return out
}
