// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import "context"

// Serve calls start, whose context ends with ctx or with the first process that
// ends by itself, and then waits for that end. Its error is why it is over.
func (p *Processes) Serve(ctx context.Context, start func(context.Context) error) error {
	running, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case err := <-p.Ended():
			cancel(err)
		case <-running.Done():
		}
	}()
	err := start(running)
	if err == nil {
		<-running.Done()
	}
	switch {
	case ctx.Err() != nil: // the caller's wish
		return ctx.Err()
	case running.Err() != nil: // what start says then is the echo of it
		return context.Cause(running)
	}
	return err
}
