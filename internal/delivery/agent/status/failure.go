// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/kuda-io/kuda/internal/backoff"
	"github.com/kuda-io/kuda/internal/delivery/hook"
	"github.com/kuda-io/kuda/internal/delivery/sourceconfig"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
	"github.com/kuda-io/kuda/internal/delivery/view"
	"github.com/kuda-io/kuda/internal/source"
)

// ReasonOf maps an error to the API's reason.
func ReasonOf(err error) string {
	for _, c := range []struct {
		class  error
		reason string
	}{
		{source.ErrNotFound, ReasonNotFound},
		{source.ErrDenied, ReasonAccessDenied},
		{source.ErrCredentials, ReasonCredentialsMissing},
		{source.ErrThrottled, ReasonThrottled},
		{source.ErrChanged, ReasonSourceChanged},
		{source.ErrMisconfigured, ReasonSourceMisconfigured},
		{source.ErrUnreachable, ReasonSourceUnreachable},
		{source.ErrTemporary, ReasonSourceUnreachable},
	} {
		if errors.Is(err, c.class) {
			return c.reason
		}
	}
	switch {
	case hasErrorType[*sourceconfig.UnsupportedError](err):
		return ReasonSourceUnsupported
	case hasErrorType[*transfer.DigestMismatchError](err):
		return ReasonDigestMismatch
	case hasErrorType[*store.InsufficientSpaceError](err):
		return ReasonInsufficientSpace
	case hasErrorType[*source.InvalidPathError](err), hasErrorType[*view.InvalidPathError](err):
		return ReasonInvalidPath
	case hasErrorType[*view.PathConflictError](err):
		return ReasonPathConflict
	case hasErrorType[*hook.FailedError](err):
		return ReasonHookFailed
	default:
		return ReasonStoreFailed
	}
}

func hasErrorType[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

// LongestPause is the longest time between two tries of an item, whatever failed; the
// docs name it. A change of what is mounted, and a request, end every pause.
const LongestPause = 5 * time.Minute

// RetryPause returns how long to wait before an item that failed for this
// reason is tried again, after that many failures in a row. What only people
// can repair is tried slowly, what passes by itself soon.
func RetryPause(reason string, failures int) time.Duration {
	first, limit := time.Second, 30*time.Second
	switch reason {
	case ReasonNotFound, ReasonAccessDenied, ReasonSourceMisconfigured, ReasonSourceUnsupported,
		ReasonDigestMismatch, ReasonInvalidPath:
		first, limit = 30*time.Second, LongestPause
	case ReasonHookFailed:
		first, limit = time.Minute, LongestPause
	case ReasonCredentialsMissing, ReasonPathConflict:
		first, limit = 5*time.Second, time.Minute
	case ReasonInsufficientSpace:
		first, limit = 10*time.Second, 2*time.Minute
	}
	d := backoff.Doubled(first, limit, failures)
	return d/2 + rand.N(d/2)
}
