// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"slices"
	"strings"
)

// nearName returns the name that was probably meant by a mistyped word, or nothing. A
// word of up to five letters may differ from it in one letter per two, a longer one in three.
func nearName(word string, names []string) string {
	best, least := "", min(3, (len(word)+1)/2)+1
	for _, name := range slices.Sorted(slices.Values(names)) {
		if d := editDistance(strings.ToLower(word), strings.ToLower(name)); d < least {
			best, least = name, d
		}
	}
	if best != "" {
		return best
	}
	// What a pod's or a revision's name begins with is often typed without its end.
	i := slices.IndexFunc(names, func(name string) bool { return len(word) > 2 && strings.HasPrefix(name, word) })
	if i < 0 {
		return ""
	}
	return names[i]
}

// didYouMean asks whether a near name was meant; empty where none is near.
func didYouMean(word string, names []string) string {
	if name := nearName(word, names); name != "" {
		return "; did you mean " + name + "?"
	}
	return ""
}

// editDistance returns how many characters have to be inserted, removed, replaced or
// swapped with the next one to make b of a.
func editDistance(a, b string) int {
	x, y := []rune(a), []rune(b)
	var before, last []int
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(x); i++ {
		before, last, row = last, row, make([]int, len(y)+1)
		row[0] = i
		for j := 1; j <= len(y); j++ {
			replace := last[j-1]
			if x[i-1] != y[j-1] {
				replace++
			}
			row[j] = min(replace, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(y)]
}
