// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package podstate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/kuda-io/kuda/internal/delivery/atomicfile"
)

// CountStart counts a start, before it does anything that could end it, and
// returns how many there were since they were last forgotten.
func (d Dir) CountStart() (int, error) {
	text, err := os.ReadFile(d.path(startsFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("reading how often the runtime was started: %w", err)
	}
	// What is no number is a file that was cut off, and counts as none.
	before, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	count := min(max(before, 0), 1000) + 1
	return count, atomicfile.Write(d.path(startsFile), []byte(strconv.Itoa(count)+"\n"), 0o600)
}

// ForgetStarts makes the next start the first.
func (d Dir) ForgetStarts() error { return atomicfile.Remove(d.path(startsFile)) }
