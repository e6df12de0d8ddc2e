// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package storecmd

import (
	"errors"
	"fmt"
)

// The exit codes of the command; any other failure is 1.
const (
	exitUsage     = 2
	exitDamaged   = 3
	exitNotStored = 4
)

// exitError carries the exit code of a failure.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func usageErrorf(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// ExitCode returns the exit code of an error of the command; false if the error
// has no exit code of its own.
func ExitCode(err error) (int, bool) {
	e, ok := errors.AsType[*exitError](err)
	if !ok {
		return 0, false
	}
	return e.code, true
}
