// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"
	"strings"

	"github.com/kuda-io/kuda/internal/domain/item"
)

// NoticeMark names what an application is told of an item: its bytes and its place.
func NoticeMark(mark, localPath string) string {
	return item.Digest([]string{mark, strings.Trim(localPath, "/")})
}

// AssignmentMark names the whole that an application is told of.
func AssignmentMark(notices []string) string {
	return item.Digest(slices.Sorted(slices.Values(notices)))
}
