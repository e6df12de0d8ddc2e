// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package retry

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/kuda-io/kuda/internal/backoff"
	"github.com/kuda-io/kuda/internal/source"
)

// Policy says how long to try.
type Policy struct {
	// Attempts is how often a call is made without progress before its error is
	// returned; 0 means 5.
	Attempts int
	// Base is the pause after the first failure; it doubles up to Cap. 0 means
	// 200 ms, and 10 s.
	Base, Cap time.Duration
}

// maxRetryAfter bounds what a source may ask for: a longer pause is for the
// caller to take.
const maxRetryAfter = time.Minute

func (p Policy) withDefaults() Policy {
	if p.Attempts == 0 {
		p.Attempts = 5
	}
	if p.Base == 0 {
		p.Base = 200 * time.Millisecond
	}
	if p.Cap == 0 {
		p.Cap = 10 * time.Second
	}
	return p
}

// backoffAfter returns how long to wait after the given number of failures: what the
// source asked for, else exponential with the whole of it random but its first
// tenth, so that the pods of a cluster do not come back together.
func (p Policy) backoffAfter(failures int, err error) time.Duration {
	wait := backoff.Doubled(p.Base, p.Cap, failures-1)
	wait = wait/10 + rand.N(wait*9/10+1)
	if asked := source.RetryAfter(err); asked > wait {
		wait = asked + rand.N(asked/10+1)
	}
	return wait
}

// Again reports whether a call is to be made again after err, and waits until then.
func (p Policy) Again(ctx context.Context, failures int, err error) bool {
	p = p.withDefaults()
	if failures >= p.Attempts || !source.Temporary(err) || source.RetryAfter(err) > maxRetryAfter {
		return false
	}
	return backoff.Sleep(ctx, p.backoffAfter(failures, err)) == nil
}
