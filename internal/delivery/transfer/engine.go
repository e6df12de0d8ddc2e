// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/store"
)

// Options of an Engine. The zero value of each but Store is a good default.
type Options struct {
	// Store that snapshots go to. Required.
	Store *store.Store
	// Connections is how many requests run at the same time, over all
	// deliveries; each has one buffer of BufferBytes. 0 means 8.
	Connections int
	// BufferBytes of each connection; 0 means 1 MiB.
	BufferBytes int
	// Stall is how long a request may go without a byte before it counts as
	// failed; 0 means 30 s.
	Stall time.Duration
	// Attempts is how often a request is made before its error is returned; 0
	// means 5.
	Attempts int
}

// Engine delivers items into a store. It is safe for use by several goroutines.
type Engine struct {
	options Options
}

// New returns an engine.
func New(o Options) *Engine { return &Engine{options: o} }

// Deliver returns a lease of the request's snapshot, which it downloads when
// the store does not have it. Errors match, with errors.Is, one of the classes
// of package source, store.ErrStore or the context's error; or are, with
// errors.As, a *source.InvalidPathError, a *store.InsufficientSpaceError or a
// *DigestMismatchError. Temporary failures were retried before they are
// returned; what had been downloaded is kept for the next call, but for bytes
// whose digest was wrong.
func (e *Engine) Deliver(ctx context.Context, r Request) (*Result, error) {
	return nil, store.ErrStore
}
