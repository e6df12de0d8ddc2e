// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package poll

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const every = 100 * time.Millisecond

// Until calls check until it returns nil, ctx ends, or limit is over; then the
// last error of check says why.
func Until(ctx context.Context, limit time.Duration, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var last error
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		// A check cut off by the limit says nothing; the one before it does.
		if last == nil || ctx.Err() == nil {
			last = err
		}
		var fatal Fatal
		if errors.As(err, &fatal) {
			return fatal.Err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (waited %s)", last, limit)
		case <-time.After(every):
		}
	}
}

// Fatal is an error of a check that waiting will not mend.
type Fatal struct{ Err error }

func (f Fatal) Error() string { return f.Err.Error() }
