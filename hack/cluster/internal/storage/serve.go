// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import "context"

// Serve calls start, which starts processes whose logs are in dir, and returns once
// the server is ready. The context of start ends with ctx or with the first process
// that ends by itself; Serve waits for that end, and its error is why it is over.
// None of the processes is left when it returns.
func Serve(ctx context.Context, dir string, start func(context.Context, *Processes) error) error {
	p := newProcesses(dir)
	defer p.Stop()
	running, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case err := <-p.ended:
			cancel(err)
		case <-running.Done():
		}
	}()
	err := start(running, p)
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
