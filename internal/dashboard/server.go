// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"context"
	"crypto/tls"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kuda-io/kuda/internal/connlimit"
	"github.com/kuda-io/kuda/internal/dashboard/live"
	"github.com/kuda-io/kuda/internal/dashboard/page"
	"github.com/kuda-io/kuda/internal/dashboard/session"
	"github.com/kuda-io/kuda/internal/drain"
)

const (
	maxHeaderBytes = 64 << 10 // eight cookies of a token
	headerTimeout  = 10 * time.Second
	idleTimeout    = 2 * time.Minute
	drainTimeout   = 5 * time.Second
	// connections of all clients together; what one may ask for at the same time, and what is
	// kept of bodies that nothing reads.
	connections         = 512
	streamsOfConnection = 64
	receiveBuffer       = 64 << 10
)

// Options are what a Server needs.
type Options struct {
	Door session.Door
	// Hosts are the names that requests may be sent to; empty: any.
	Hosts []string
	// Page has the files that were built; nil: none were.
	Page fs.FS
	// System is the namespace that Kuda is installed in; empty: kuda-system.
	System string
	// TLS is nil for a server on the loopback interface.
	TLS *tls.Config
	Now func() time.Time
	// Limits bound what clients may ask for.
	Limits Limits
	// Log is told of faults of the server; its zero value drops them.
	Log logr.Logger
}

// Limits bound what clients may ask for.
type Limits struct {
	// PerSecond and Burst are of requests to the API from one address.
	PerSecond float64
	Burst     int
	// Streams of one user at a time, of all users, and how long one may last. A user may
	// have any number of tokens, so what is counted by them has a limit in all.
	Streams, AllStreams int
	StreamLife          time.Duration
}

// DefaultLimits are for a page that people look at.
func DefaultLimits() Limits {
	return Limits{PerSecond: 20, Burst: 100, Streams: 12, AllStreams: 96, StreamLife: 10 * time.Minute}
}

// Server serves the dashboard.
type Server struct {
	options Options
	hub     *live.Hub
	streams *streams
	metrics *metrics
	limiter *limiter
	// ending is closed when the server ends, and ends the streams.
	ending chan struct{}
	// turns has a place for each request that asks pods.
	turns chan struct{}
}

// New makes a server.
func New(o Options) *Server {
	s := &Server{options: o, hub: live.NewHub(o.Now), streams: newStreams(o.Limits), limiter: newLimiter(o.Limits, o.Now),
		ending: make(chan struct{}), turns: make(chan struct{}, asksAtOnce)}
	s.metrics = newMetrics(s.hub)
	return s
}

// Gatherer returns the server's metrics.
func (s *Server) Gatherer() prometheus.Gatherer { return s.metrics.registry }

// Handler returns the whole of what is served.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	s.addRoutes(mux)
	mux.Handle("/", page.Handler(s.options.Page))
	return s.guard(mux)
}

// Serve serves on the listener until the context ends; streams end with it.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	limited := connlimit.Limit(listener, connections)
	server := &http.Server{
		Handler: s.Handler(), TLSConfig: s.options.TLS, MaxHeaderBytes: maxHeaderBytes, ReadHeaderTimeout: headerTimeout,
		ReadTimeout: time.Minute, IdleTimeout: idleTimeout, ConnState: limited.Touch, ConnContext: limited.Context,
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: streamsOfConnection, MaxReceiveBufferPerConnection: receiveBuffer,
			MaxReceiveBufferPerStream: receiveBuffer},
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo),
	}
	server.RegisterOnShutdown(func() { close(s.ending) })
	return drain.Serve(ctx, server, listener.Addr().String(), drainTimeout, func() error {
		if s.options.TLS != nil {
			return server.ServeTLS(limited, "", "")
		}
		return server.Serve(limited)
	})
}
