// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io/fs"
	"math"

	"github.com/kuda-io/kuda/internal/memorylimit"
)

// bytesPerFile is what a file of an item takes until the item is complete, with
// the runtime's own share: 183 MB were measured with 120,000 files.
const bytesPerFile = 1536

// maxFiles returns how many files an item may have within the container's memory
// limit; 0 for any number. Root is the file system's.
func maxFiles(root fs.FS) int {
	bytes, err := memorylimit.Find(root)
	if err != nil || bytes <= 0 {
		return 0
	}
	return int(min(bytes/bytesPerFile, math.MaxInt32))
}
