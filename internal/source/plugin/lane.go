// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/kuda-io/kuda/internal/gen/kuda/source/v1alpha1/sourcev1alpha1connect"
	"github.com/kuda-io/kuda/internal/source/plugin/wire"
)

// The windows of a connection, in bytes: with less, a plugin waits for
// permission to send more; more is memory that gains nothing.
const (
	frameBytes  = wire.ChunkBytes
	windowBytes = 2 * wire.ChunkBytes
	// maxHeader bounds headers and trailers, in which errors come.
	maxHeader = 64 << 10
)

// lane is one connection to the plugin, with one call on it at a time: calls
// that share a connection share its window, and one that is not read from
// would hold up the others.
type lane struct {
	transport *http.Transport
	client    sourcev1alpha1connect.SourceServiceClient
}

// lanes keeps the connections that no call uses.
type lanes struct {
	socket string

	mu     sync.Mutex
	idle   []*lane
	closed bool
}

func newLanes(socket string) *lanes { return &lanes{socket: socket} }

func (l *lanes) get() *lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	if last := len(l.idle) - 1; last >= 0 {
		lane := l.idle[last]
		l.idle = l.idle[:last]
		return lane
	}
	return newLane(l.socket)
}

func (l *lanes) put(lane *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		lane.transport.CloseIdleConnections()
		return
	}
	l.idle = append(l.idle, lane)
}

func (l *lanes) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, lane := range l.idle {
		lane.transport.CloseIdleConnections()
	}
	l.idle = nil
}

func newLane(socket string) *lane {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	t := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		},
		MaxResponseHeaderBytes: maxHeader,
		IdleConnTimeout:        30 * time.Second,
		DisableCompression:     true,
		Protocols:              new(http.Protocols),
		HTTP2: &http.HTTP2Config{
			MaxReadFrameSize:              frameBytes,
			MaxReceiveBufferPerConnection: windowBytes,
			MaxReceiveBufferPerStream:     windowBytes,
		},
	}
	t.Protocols.SetUnencryptedHTTP2(true)
	return &lane{transport: t, client: sourcev1alpha1connect.NewSourceServiceClient(&http.Client{Transport: t}, "http://plugin",
		connect.WithGRPC(), connect.WithCodec(wire.Codec{}), connect.WithReadMaxBytes(wire.MaxMessage),
		// Content that compresses well is compressed in the storage already.
		connect.WithAcceptCompression("gzip", nil, nil))}
}
