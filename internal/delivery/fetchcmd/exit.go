// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package fetchcmd

import (
	"errors"
	"fmt"

	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
	"github.com/kuda-io/kuda/internal/source"
)

// The exit codes of the command.
const (
	exitFailure     = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitDenied      = 4
	exitUnreachable = 5
	exitDigest      = 6
	exitSpace       = 7
	exitName        = 8
)

// errUsage marks errors of the arguments.
var errUsage = errors.New("wrong usage")

type usageError struct{ err error }

func (e *usageError) Error() string        { return e.err.Error() }
func (e *usageError) Unwrap() error        { return e.err }
func (e *usageError) Is(target error) bool { return target == errUsage }

func usageErrorf(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// ExitCode returns the exit code of an error of the command, 0 for nil.
func ExitCode(err error) int {
	if err == nil {
		return 0
	}
	for _, class := range []struct {
		target error
		code   int
	}{
		{errUsage, exitUsage},
		{source.ErrMisconfigured, exitUsage},
		{source.ErrNotFound, exitNotFound},
		{source.ErrDenied, exitDenied},
		{source.ErrCredentials, exitDenied},
		{source.ErrUnreachable, exitUnreachable},
		{source.ErrTemporary, exitUnreachable},
		{source.ErrThrottled, exitUnreachable},
		{source.ErrChanged, exitUnreachable},
	} {
		if errors.Is(err, class.target) {
			return class.code
		}
	}
	if _, ok := errors.AsType[*transfer.DigestMismatchError](err); ok {
		return exitDigest
	}
	if _, ok := errors.AsType[*store.InsufficientSpaceError](err); ok {
		return exitSpace
	}
	if _, ok := errors.AsType[*source.InvalidPathError](err); ok {
		return exitName
	}
	return exitFailure
}
