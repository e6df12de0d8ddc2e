// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/atomicfile"
)

const (
	// startsFile counts the starts since the last one that settled.
	startsFile = "starts"
	// youngStarts is how many starts in a row may die young before the next one
	// asks the gateway first: what is remembered may be what kills the runtime,
	// and then only something else to do heals it.
	youngStarts = 3
	// settledAfter is how long a runtime must live for its start to count as good:
	// longer than listing and the first bytes take.
	settledAfter = 2 * time.Minute
)

// countStart counts a start, before it does anything that could end it, and
// returns how many there were since one settled.
func countStart(dir string) (int, error) {
	path := filepath.Join(dir, startsFile)
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("reading how often the runtime was started: %w", err)
	}
	// What is no number is a file that was cut off, and counts as none.
	before, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	count := min(max(before, 0), 1000) + 1
	return count, atomicfile.Write(path, []byte(strconv.Itoa(count)+"\n"), 0o600)
}

// settleStart forgets the starts once this one has lived long enough, or ends in
// order.
func (a *Agent) settleStart(ctx context.Context) {
	timer := time.NewTimer(settledAfter)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	if err := atomicfile.Remove(filepath.Join(a.dir, startsFile)); err != nil {
		a.log.Error(err, "the starts were not forgotten")
	}
}
