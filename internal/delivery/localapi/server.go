// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package localapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kuda-io/kuda/internal/connlimit"
)

// Limits of the two sides. With all of them used the connections take less than
// 16 MiB of memory. A kubelet's probe takes a connection for milliseconds.
const (
	maxPodConnections      = 256
	maxStrangerConnections = 512
	maxHeaderBytes         = 8 << 10

	// A caller on the pod's address has this long for its request, and to take the answer.
	strangerTimeout = 3 * time.Second
	// One on localhost has longer: it may be short of CPU.
	readTimeout  = 10 * time.Second
	writeTimeout = 10 * time.Second
	idleTimeout  = 2 * time.Minute
)

// receiveBuffer is more than any request here has.
const receiveBuffer = 16 << 10

// Listen listens on the port of all addresses: containers of the pod come by
// loopback, the kubelet's probes by the pod's own address.
func Listen(ctx context.Context, port int) (net.Listener, error) {
	l, err := connlimit.Listen(ctx, net.JoinHostPort("", strconv.Itoa(port)), receiveBuffer)
	if err != nil {
		return nil, fmt.Errorf("opening the local API: %w", err)
	}
	return l, nil
}

// Server is the local API on one port.
type Server struct {
	pod, stranger *http.Server
	listeners     *listeners
}

// NewServer returns the local API on the listener, which it closes at the end.
func NewServer(l net.Listener, d Delivery, g prometheus.Gatherer) *Server {
	s := &Server{listeners: splitListener(l)}
	// What strangers send wrong is not worth a line of the log each.
	quiet := slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	s.pod = &http.Server{
		Handler:           newPodHandler(d, g),
		ReadHeaderTimeout: readTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes, ConnState: s.listeners.pod.limit.Touch, ConnContext: s.listeners.pod.limit.Context, ErrorLog: quiet,
	}
	s.stranger = &http.Server{
		Handler:           newStrangerHandler(d, g),
		ReadHeaderTimeout: strangerTimeout, ReadTimeout: strangerTimeout, WriteTimeout: strangerTimeout,
		MaxHeaderBytes: maxHeaderBytes, ConnState: s.listeners.stranger.limit.Touch,
		ConnContext: s.listeners.stranger.limit.Context, ErrorLog: quiet,
	}
	// One request is all that a probe or a collector has. A connection that waits
	// for more would only be in the way.
	s.stranger.SetKeepAlivesEnabled(false)
	return s
}

// Serve replies until Close is called; it then returns http.ErrServerClosed.
func (s *Server) Serve() error {
	ended := make(chan error, 3)
	go func() { ended <- s.listeners.acceptConnections() }()
	go func() { ended <- s.pod.Serve(s.listeners.pod) }()
	go func() { ended <- s.stranger.Serve(s.listeners.stranger) }()
	err := <-ended
	_ = s.Close()
	for range 2 {
		<-ended //nolint:errcheck // it says that it was closed
	}
	if errors.Is(err, net.ErrClosed) {
		err = http.ErrServerClosed
	}
	return err
}

// Close ends all connections.
func (s *Server) Close() error {
	return errors.Join(s.listeners.close(), s.pod.Close(), s.stranger.Close())
}

// isLocal reports whether a connection came in by the loopback interface, which
// is the pod's own: the kernel drops packets with such addresses that come
// from elsewhere.
func isLocal(c net.Conn) bool {
	local, ok := c.LocalAddr().(*net.TCPAddr)
	if !ok {
		return false
	}
	remote, ok := c.RemoteAddr().(*net.TCPAddr)
	return ok && local.IP.IsLoopback() && remote.IP.IsLoopback()
}

// listeners are two sides of one.
type listeners struct {
	inner         net.Listener
	pod, stranger *side
}

func splitListener(l net.Listener) *listeners {
	return &listeners{inner: l, pod: newSide(l, maxPodConnections), stranger: newSide(l, maxStrangerConnections)}
}

// acceptConnections hands connections to their sides until the listener is closed.
func (l *listeners) acceptConnections() error {
	for {
		c, err := l.inner.Accept()
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if err != nil {
			// Out of descriptors, or the caller has left: neither is the end.
			pause := time.NewTimer(acceptPause)
			<-pause.C
			continue
		}
		side := l.stranger
		if isLocal(c) {
			side = l.pod
		}
		side.handOver(c)
	}
}

// acceptPause keeps a listener that has run out of descriptors from taking the CPU.
const acceptPause = 5 * time.Millisecond

func (l *listeners) close() error {
	l.pod.markEnded()
	l.stranger.markEnded()
	if err := l.inner.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// side is the listener of one side.
type side struct {
	inner  net.Listener
	limit  *connlimit.Listener
	handed chan net.Conn
	ended  chan struct{}
	once   sync.Once
}

func newSide(l net.Listener, connections int) *side {
	return &side{inner: l, limit: connlimit.Limit(l, connections), handed: make(chan net.Conn), ended: make(chan struct{})}
}

// handOver gives the side a connection; one that it has no room for is closed.
func (s *side) handOver(c net.Conn) {
	limited, ok := s.limit.Admit(c)
	if !ok {
		return
	}
	select {
	case s.handed <- limited:
	case <-s.ended:
		_ = limited.Close()
	}
}

// Accept implements net.Listener.
func (s *side) Accept() (net.Conn, error) {
	select {
	case c := <-s.handed:
		return c, nil
	case <-s.ended:
		return nil, net.ErrClosed
	}
}

// Addr implements net.Listener.
func (s *side) Addr() net.Addr { return s.inner.Addr() }

// Close implements net.Listener. A side ends with its listeners.
func (s *side) Close() error { return nil }

func (s *side) markEnded() { s.once.Do(func() { close(s.ended) }) }
