// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/hook"
	"github.com/kuda-io/kuda/internal/delivery/sourceconfig"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
	"github.com/kuda-io/kuda/internal/delivery/view"
	"github.com/kuda-io/kuda/internal/source"
)

// reasonOf maps an error to the API's reason.
func reasonOf(err error) string {
	for _, c := range []struct {
		class  error
		reason string
	}{
		{source.ErrNotFound, reasonNotFound},
		{source.ErrDenied, reasonAccessDenied},
		{source.ErrCredentials, reasonCredentialsMissing},
		{source.ErrThrottled, reasonThrottled},
		{source.ErrChanged, reasonSourceChanged},
		{source.ErrMisconfigured, reasonSourceMisconfigured},
		{source.ErrUnreachable, reasonSourceUnreachable},
		{source.ErrTemporary, reasonSourceUnreachable},
	} {
		if errors.Is(err, c.class) {
			return c.reason
		}
	}
	switch {
	case hasErrorType[*sourceconfig.UnsupportedError](err):
		return reasonSourceUnsupported
	case hasErrorType[*transfer.DigestMismatchError](err):
		return reasonDigestMismatch
	case hasErrorType[*store.InsufficientSpaceError](err):
		return reasonInsufficientSpace
	case hasErrorType[*source.InvalidPathError](err), hasErrorType[*view.InvalidPathError](err):
		return reasonInvalidPath
	case hasErrorType[*view.PathConflictError](err):
		return reasonPathConflict
	case hasErrorType[*hook.FailedError](err):
		return reasonHookFailed
	default:
		return reasonStoreFailed
	}
}

func hasErrorType[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

// retryPause returns how long to wait before an item that failed for this
// reason is tried again, after that many failures in a row. What only people
// can repair is tried slowly, what passes by itself soon.
func retryPause(reason string, failures int) time.Duration {
	first, limit := time.Second, 30*time.Second
	switch reason {
	case reasonNotFound, reasonAccessDenied, reasonSourceMisconfigured, reasonSourceUnsupported,
		reasonDigestMismatch, reasonInvalidPath:
		first, limit = 30*time.Second, 5*time.Minute
	case reasonHookFailed:
		first, limit = time.Minute, 5*time.Minute
	case reasonCredentialsMissing, reasonPathConflict:
		first, limit = 5*time.Second, time.Minute
	case reasonInsufficientSpace:
		first, limit = 10*time.Second, 2*time.Minute
	}
	d := min(first<<min(failures, 10), limit)
	return d/2 + rand.N(d/2)
}

// Reason is what the API calls an error of a delivery.
func Reason(err error) string { return reasonOf(err) }
