// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package connlimit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"

	"github.com/kuda-io/kuda/internal/fairshare"
)

// Listen listens on a TCP address, host:port. Of a connection that is not read the
// kernel keeps about as many bytes as the receive buffer has; they are part of the memory
// that the container is charged for.
func Listen(ctx context.Context, address string, receiveBuffer int) (net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		// Before listening, because connections have it from the listener.
		controlErr := c.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, receiveBuffer)
		})
		return errors.Join(controlErr, err)
	}}
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", address, err)
	}
	return l, nil
}

// Listener accepts connections of which at most a fixed number is open.
type Listener struct {
	net.Listener
	open    *fairshare.Pool
	evicted atomic.Int64
}

// Limit returns a listener that keeps at most that many connections open.
func Limit(l net.Listener, connections int) *Listener {
	return &Listener{Listener: l, open: fairshare.NewPool(int64(connections))}
}

// Open returns how many connections are open.
func (l *Listener) Open() int { return int(l.open.Used()) }

// Evicted returns how many connections were closed in favour of newer ones.
func (l *Listener) Evicted() int64 { return l.evicted.Load() }

// Accept returns the next connection.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if limited, ok := l.Admit(c); ok {
			return limited, nil
		}
	}
}

// Admit counts a connection that something else accepted. It closes the
// connection and reports false when there is no room for it.
func (l *Listener) Admit(c net.Conn) (net.Conn, bool) {
	grant, ok := l.open.Acquire(Address(c), 1, func() {
		l.evicted.Add(1)
		abortConn(c)
	})
	if !ok {
		l.evicted.Add(1)
		abortConn(c)
		return nil, false
	}
	return &conn{Conn: c, grant: grant}, true
}

// Touch is for http.Server.ConnState: connections that are in use are closed last.
func (l *Listener) Touch(c net.Conn, _ http.ConnState) {
	if limited := limitedBelow(c); limited != nil {
		limited.grant.Touch()
	}
}

// contextKey is of the connection in a request's context.
type contextKey struct{}

// Context is for http.Server.ConnContext: with it requests can be asked and told
// whether their connection is known.
func (l *Listener) Context(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, contextKey{}, limitedBelow(c))
}

// MarkKnown says that the request's connection has been of use. From then on it is
// not counted with others of its address that have not: a flood from the same address,
// as where a cluster translates addresses, does not close it.
func MarkKnown(ctx context.Context) {
	if c, _ := ctx.Value(contextKey{}).(*conn); c != nil && !c.known.Swap(true) {
		c.grant.Move("known " + Address(c))
	}
}

// Known reports whether the request's connection was marked.
func Known(ctx context.Context) bool {
	c, _ := ctx.Value(contextKey{}).(*conn)
	return c != nil && c.known.Load()
}

// limitedBelow returns what Accept returned, below what others have put around it.
func limitedBelow(c net.Conn) *conn {
	for c != nil {
		if limited, ok := c.(*conn); ok {
			return limited
		}
		wrapper, ok := c.(interface{ NetConn() net.Conn }) // as those of package tls
		if !ok {
			return nil
		}
		c = wrapper.NetConn()
	}
	return nil
}

// Address returns the caller's IP address as text.
func Address(c net.Conn) string {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return a.IP.String()
	}
	return c.RemoteAddr().String()
}

// abortConn closes a connection without the kernel keeping what was not sent.
func abortConn(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		// The connection may be closed already.
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

type conn struct {
	net.Conn
	grant *fairshare.Grant
	known atomic.Bool
}

func (c *conn) Close() error {
	c.grant.Release()
	return c.Conn.Close()
}
