// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/kuda-io/kuda/internal/connlimit"
	"github.com/kuda-io/kuda/internal/drain"
)

// Limits of the webhooks' port. An API server keeps few connections, and opens
// another when it has more requests than one takes. A connection takes up to
// 64 KiB, and a stream 10 KiB before the webhook hears of it.
const (
	maxConnections       = 256
	streamsPerConnection = 50
	// Headers of the API server have a few hundred bytes.
	maxHeaderBytes = 4 << 10
	// What may be under way on a connection, and in one frame, before it is read.
	connectionBuffer = 64 << 10
	frameBytes       = 16 << 10

	headerTimeout = 3 * time.Second
	// An API server gives up after 5 seconds.
	readTimeout  = 5 * time.Second
	writeTimeout = 10 * time.Second
	idleTimeout  = 2 * time.Minute
	drainTimeout = 10 * time.Second
)

var errNotServing = errors.New("the webhooks are not served yet")

// Options of a Server.
type Options struct {
	// Address to listen on, host:port.
	Address string
	// GetCertificate returns what to serve with.
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Clients are who may call; nil allows every client.
	Clients *Clients
}

// Server serves webhooks. It is a webhook.Server.
type Server struct {
	options Options
	mux     *http.ServeMux
	serving atomic.Bool
}

var _ webhook.Server = (*Server)(nil)

// New returns a server that does not listen before Start.
func New(o Options) *Server {
	return &Server{options: o, mux: http.NewServeMux()}
}

// NeedLeaderElection reports whether only the leader serves: every replica does.
func (s *Server) NeedLeaderElection() bool { return false }

// Register serves the handler at the path.
func (s *Server) Register(path string, handler http.Handler) { s.mux.Handle(path, handler) }

// WebhookMux returns what Register registers with.
func (s *Server) WebhookMux() *http.ServeMux { return s.mux }

// StartedChecker fails until the server listens. It makes no connection: a flood
// of them must not have the kubelet restart the process.
func (s *Server) StartedChecker() healthz.Checker {
	return func(*http.Request) error {
		if !s.serving.Load() {
			return errNotServing
		}
		return nil
	}
}

// Start serves until the context ends.
func (s *Server) Start(ctx context.Context) error {
	inner, err := connlimit.Listen(ctx, s.options.Address, connectionBuffer)
	if err != nil {
		return err
	}
	limited := connlimit.Limit(inner, maxConnections)
	paced := newPacer(limited)
	server := &http.Server{
		Addr: s.options.Address, Handler: s.mux, TLSConfig: s.tlsConfig(),
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: streamsPerConnection, MaxReadFrameSize: frameBytes,
			MaxReceiveBufferPerConnection: connectionBuffer, MaxReceiveBufferPerStream: connectionBuffer,
			WriteByteTimeout: writeTimeout,
		},
		ConnContext: limited.Context,
		ConnState: func(c net.Conn, state http.ConnState) {
			limited.Touch(c, state)
			if state != http.StateNew {
				paced.endHandshake(c)
			}
		},
		// What strangers send wrong is not worth a line of the log each.
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo),
	}
	s.serving.Store(true)
	defer s.serving.Store(false)
	return drain.Serve(ctx, server, server.Addr, drainTimeout, func() error { return server.ServeTLS(paced, "", "") })
}

func (s *Server) tlsConfig() *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: s.options.GetCertificate}
	if s.options.Clients != nil {
		config.ClientAuth = tls.RequireAnyClientCert
		config.VerifyConnection = s.options.Clients.verifyConnection
	}
	return config
}
