// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/kuda-io/kuda/internal/connlimit"
	"github.com/kuda-io/kuda/internal/drain"
	"github.com/kuda-io/kuda/internal/exposition"
)

const (
	// connections is many times what kubelets and collectors open.
	connections    = 128
	maxHeaderBytes = 16 << 10
	requestTimeout = 5 * time.Second
	drainTimeout   = 5 * time.Second
)

// Probes serves /healthz and /readyz.
func Probes(live, ready map[string]healthz.Checker) http.Handler {
	mux := http.NewServeMux()
	for path, checks := range map[string]map[string]healthz.Checker{"/healthz": live, "/readyz": ready} {
		handler := http.StripPrefix(path, &healthz.Handler{Checks: checks})
		mux.Handle(path, handler)
		mux.Handle(path+"/", handler)
	}
	return mux
}

// Metrics serves /metrics.
func Metrics(g prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/metrics", exposition.NewHandler(g))
	return mux
}

// Serve serves on the address, host:port, until the context ends. "0" serves nothing.
func Serve(ctx context.Context, address string, handler http.Handler) error {
	if address == "0" {
		return nil
	}
	inner, err := connlimit.Listen(ctx, address, maxHeaderBytes)
	if err != nil {
		return err
	}
	limited := connlimit.Limit(inner, connections)
	server := &http.Server{
		Handler: withoutBody(handler), ConnState: limited.Touch, ConnContext: limited.Context, MaxHeaderBytes: maxHeaderBytes,
		ReadHeaderTimeout: requestTimeout, ReadTimeout: requestTimeout, WriteTimeout: requestTimeout,
		// What strangers send wrong is not worth a line of the log each.
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo),
	}
	// A connection that waits for a next request would only be in the way.
	server.SetKeepAlivesEnabled(false)
	return drain.Serve(ctx, server, address, drainTimeout, func() error { return server.Serve(limited) })
}

// withoutBody takes questions only.
func withoutBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 || r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Connection", "close")
			http.Error(w, "ask by GET, without a body", http.StatusMethodNotAllowed)
			return
		}
		// Who has asked a whole question is not closed in favour of who has not.
		connlimit.MarkKnown(r.Context())
		next.ServeHTTP(w, r)
	})
}
