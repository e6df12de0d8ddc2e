// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package drain ends an HTTP server such that requests which it has taken are
// answered. The webhook and the server of probes and metrics use it.
package drain

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// Serve calls serve, which serves on address, until ctx ends; requests then have as
// long as limit to end.
func Serve(ctx context.Context, server *http.Server, address string, limit time.Duration, serve func() error) error {
	served := make(chan error, 1)
	go func() { served <- serve() }()
	select {
	case err := <-served:
		return fmt.Errorf("serving on %s: %w", address, err)
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	if err := server.Shutdown(bounded); err != nil {
		// Who has not ended by now is cut off.
		_ = server.Close()
	}
	<-served //nolint:errcheck // it says that it was closed
	return nil
}
