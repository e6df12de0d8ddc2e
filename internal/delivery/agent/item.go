// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"slices"
	"strings"

	"github.com/kuda-io/kuda/internal/domain/item"
)

// noticeMark names what an application is told of an item: its bytes and its place.
func noticeMark(mark, localPath string) string {
	return item.Digest([]string{mark, strings.Trim(localPath, "/")})
}

// assignmentMark names the whole that an application is told of.
func assignmentMark(notices []string) string {
	return item.Digest(slices.Sorted(slices.Values(notices)))
}
