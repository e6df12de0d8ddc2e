// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package lock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"
)

// Name is the lock of the machine's one cluster.
const Name = "@kuda-cluster"

const retryEvery = 200 * time.Millisecond

// Acquire takes the lock called name, waiting for its holder to end; it says
// on out that it waits. Closing the result frees it.
func Acquire(ctx context.Context, name string, out io.Writer) (io.Closer, error) {
	told := false
	for {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
		if err == nil {
			return l, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("taking the cluster's lock: %w", err)
		}
		if !told {
			fmt.Fprintln(out, "waiting: another kuda-cluster command is changing the cluster")
			told = true
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for another kuda-cluster command: %w", ctx.Err())
		case <-time.After(retryEvery):
		}
	}
}
