// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"errors"
	"time"
)

// The classes of error. Every error of a Source other than the context's own
// matches exactly one of them with errors.Is.
var (
	// ErrNotFound: nothing is stored at the path. Permanent.
	ErrNotFound = errors.New("not found")
	// ErrDenied: the source refused the credentials, or anonymous access. Permanent.
	ErrDenied = errors.New("access denied")
	// ErrThrottled: the source asked to slow down; RetryAfter says for how long. Temporary.
	ErrThrottled = errors.New("throttled")
	// ErrChanged: the file is not the one that was listed. List again.
	ErrChanged = errors.New("changed while it was read")
	// ErrTemporary: a failure that may pass, such as a cut connection or a
	// server's error. Temporary.
	ErrTemporary = errors.New("temporary failure")
	// ErrUnreachable: the source does not answer at its address. Temporary.
	ErrUnreachable = errors.New("unreachable")
	// ErrMisconfigured: the settings contradict themselves or the server. Permanent.
	ErrMisconfigured = errors.New("misconfigured")
	// ErrCredentials: the files with credentials or certificates are not there,
	// or lack something. Permanent until they appear.
	ErrCredentials = errors.New("credentials missing")
)

// Error is an error with its class.
type Error struct {
	// Op is a gerund phrase such as "opening s3://models/a/b".
	Op string
	// Class is one of the classes above.
	Class error
	// RetryAfter is how long the source asked to wait, with ErrThrottled.
	RetryAfter time.Duration
	// Err is the cause, or nil.
	Err error
}

// Error says what was tried and why it failed, without the secrets that the URLs
// of the cause may carry (Redact).
func (e *Error) Error() string {
	if e.Err == nil {
		return Redact(e.Op + ": " + e.Class.Error())
	}
	return Redact(e.Op + ": " + e.Class.Error() + ": " + e.Err.Error())
}

// Is reports whether target is the error's class.
func (e *Error) Is(target error) bool { return target == e.Class }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Temporary reports whether the same call may succeed a little later.
func Temporary(err error) bool {
	return errors.Is(err, ErrThrottled) || errors.Is(err, ErrTemporary) || errors.Is(err, ErrUnreachable)
}

// RetryAfter returns how long the source asked to wait, 0 when it did not say.
func RetryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.RetryAfter
	}
	return 0
}
