// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"context"
	"errors"
	"fmt"

	"github.com/kuda-io/kuda/internal/source"
)

// Reasons why bytes did not come from the cache, as the API documents them.
const (
	// ReasonUnprovable: the source has no checksum of the file that its bytes can be
	// compared with.
	ReasonUnprovable = "Unprovable"
	// ReasonStale: the cache has another state of the file.
	ReasonStale = "CacheStale"
	// ReasonMissing: the cache does not know the file.
	ReasonMissing = "CacheMissing"
	// ReasonFailed: the cache does not answer, or stopped in the middle.
	ReasonFailed = "CacheFailed"
	// ReasonBreaker: the cache failed too often and is not asked for a while.
	ReasonBreaker = "CacheAvoided"
	// ReasonMisconfigured: the cache has something else at the path.
	ReasonMisconfigured = "CacheMisconfigured"
	// ReasonIncomplete: the cache was filled and does not hold all of the file.
	ReasonIncomplete = "CacheIncomplete"
	// ReasonRejected: the bytes of the cache were not those that the source promised.
	ReasonRejected = "CacheRejected"
)

// Error is why bytes did not come from the cache.
type Error struct {
	// Reason is one of those above.
	Reason string
	// Cache is the cache's identity.
	Cache string
	Err   error
}

func (e *Error) Error() string {
	return source.Redact(fmt.Sprintf("reading from the cache %s: %s: %v", e.Cache, e.Reason, e.Err))
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// OfFile reports whether the error is of the file as a whole, so that asking for another
// range of it is of no use.
func (e *Error) OfFile() bool {
	return e.Reason == ReasonStale || e.Reason == ReasonMissing || e.Reason == ReasonMisconfigured
}

// ReasonOf returns the reason of an error of a cache.
func ReasonOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	return ReasonFailed
}

// Final returns the error of an item that must not be read from the source. What people
// have to repair is ErrMisconfigured, what passes is ErrUnreachable.
func Final(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	class := source.ErrUnreachable
	switch ReasonOf(err) {
	case ReasonUnprovable, ReasonMisconfigured, ReasonRejected:
		class = source.ErrMisconfigured
	}
	return &source.Error{Op: "reading with fallback Never", Class: class, Err: errors.New(err.Error())}
}

// countsAsFailure reports whether the cache itself is at fault, so that asking it for
// other files is of no use.
func countsAsFailure(reason string) bool { return reason == ReasonFailed }
