// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"strings"
	"sync"
)

// tailLength is how much of a command's output is kept.
const tailLength = 2 << 10

// tail keeps the end of what is written to it, in fixed memory. Stdout and
// stderr write to the same one at once.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	written := len(p)
	if len(p) >= tailLength {
		p = p[len(p)-tailLength:]
	}
	if over := len(t.kept) + len(p) - tailLength; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	t.kept = append(t.kept, p...)
	return written, nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.ToValidUTF8(string(t.kept), "")
}
