// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package plural

import "fmt"

// Count returns a number with its noun, as "1 pod" or "2 pods".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
