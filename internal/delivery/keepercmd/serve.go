// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package keepercmd

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kuda-io/kuda/internal/connlimit"
	"github.com/kuda-io/kuda/internal/drain"
	"github.com/kuda-io/kuda/internal/exposition"
)

const (
	// connections is many times what the kubelet and collectors open.
	connections    = 32
	maxHeaderBytes = 8 << 10
	requestTimeout = 5 * time.Second
)

// newHandler returns what serves /healthz and /metrics.
func newHandler(healthy func() error, g prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		connlimit.MarkKnown(r.Context())
		if err := healthy(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = fmt.Fprintln(w, "ok")
	})
	metrics := exposition.NewHandler(g)
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		connlimit.MarkKnown(r.Context())
		metrics.ServeHTTP(w, r)
	})
	return mux
}

// serveProbes serves on the address, host:port, until the context ends. "0" serves nothing.
func serveProbes(ctx context.Context, address string, healthy func() error, g prometheus.Gatherer) error {
	if address == "0" {
		return nil
	}
	inner, err := connlimit.Listen(ctx, address, maxHeaderBytes)
	if err != nil {
		return fmt.Errorf("listening for probes: %w", err)
	}
	limited := connlimit.Limit(inner, connections)
	server := &http.Server{
		Handler: newHandler(healthy, g), ConnState: limited.Touch, ConnContext: limited.Context, MaxHeaderBytes: maxHeaderBytes,
		ReadHeaderTimeout: requestTimeout, ReadTimeout: requestTimeout, WriteTimeout: requestTimeout,
		// What strangers send wrong is not worth a line of the log each.
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo),
	}
	server.SetKeepAlivesEnabled(false)
	return drain.Serve(ctx, server, address, requestTimeout, func() error { return server.Serve(limited) })
}
