// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package bytesize

import "fmt"

// Text is a number of bytes with one decimal in the largest unit that fits,
// such as "12.5 GiB".
func Text(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, suffix := float64(n)/unit, 0
	for value >= unit && suffix < len("KMGTPE")-1 {
		value /= unit
		suffix++
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTPE"[suffix])
}
