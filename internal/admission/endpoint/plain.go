// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/kuda-io/kuda/internal/connlimit"
)

// plainConnections is many times what kubelets and collectors open.
const plainConnections = 128

// Plain serves probes or metrics without TLS, within limits like those of the
// webhooks. Package server runs it.
type Plain struct {
	// Address to listen on, host:port.
	Address string
	Handler http.Handler
}

// Start serves until the context ends.
func (p *Plain) Start(ctx context.Context) error {
	inner, err := connlimit.Listen(ctx, p.Address)
	if err != nil {
		return err
	}
	limited := connlimit.Limit(inner, plainConnections)
	server := &http.Server{
		Addr: p.Address, Handler: withoutBody(p.Handler), ConnState: limited.Touch, MaxHeaderBytes: maxHeaderBytes,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo),
	}
	// A connection that waits for a next request would only be in the way.
	server.SetKeepAlivesEnabled(false)
	return serveUntil(ctx, server, func() error { return server.Serve(limited) })
}

// withoutBody takes questions only.
func withoutBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 || r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Connection", "close")
			http.Error(w, "ask by GET, without a body", http.StatusMethodNotAllowed)
			return
		}
		next.ServeHTTP(w, r)
	})
}
