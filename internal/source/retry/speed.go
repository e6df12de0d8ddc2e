// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package retry

import (
	"errors"
	"fmt"
	"time"

	"github.com/kuda-io/kuda/internal/source"
)

// The least speed of a body: what a modem brings in a second, in a minute. A body
// that is slower would take for ever, and no watch on silence ends it.
const (
	leastBytes = 4 << 10
	leastTime  = time.Minute
)

// errSlow marks the errors of bodies that are too slow.
var errSlow = errors.New("the source is too slow")

// speed measures how fast a body comes while it is waited for.
type speed struct {
	op     string
	bytes  int
	waited time.Duration
}

// addRead takes what a call of Read brought, and how long it took.
func (s *speed) addRead(n int, took time.Duration) error {
	s.bytes += n
	if s.waited += took; s.waited < leastTime {
		return nil
	}
	if s.bytes < leastBytes {
		return &source.Error{Op: s.op, Class: source.ErrUnreachable,
			Err: fmt.Errorf("%w: %d bytes came in %v", errSlow, s.bytes, s.waited.Round(time.Second))}
	}
	s.bytes, s.waited = 0, 0
	return nil
}
