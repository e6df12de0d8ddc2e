// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"net"
	"runtime"
	"sync/atomic"
)

// pacer leaves processors to established connections: a handshake takes hundreds
// of microseconds, and any client may ask for any number of them. Only what is
// computed counts. A caller that is waited for holds up no other.
type pacer struct {
	net.Listener
	places chan struct{}
}

func newPacer(l net.Listener) *pacer {
	return &pacer{Listener: l, places: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
}

// Accept returns the next connection.
func (p *pacer) Accept() (net.Conn, error) {
	c, err := p.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &pacedConn{Conn: c, places: p.places}, nil
}

// endHandshake says that the connection's handshake is over.
func (p *pacer) endHandshake(c net.Conn) {
	if wrapper, ok := c.(interface{ NetConn() net.Conn }); ok { // of package tls
		c = wrapper.NetConn()
	}
	if paced, ok := c.(*pacedConn); ok {
		paced.ready.Store(true)
		paced.releasePlace()
	}
}

// pacedConn has a place from when bytes have come until the next call, which is
// to wait for more, or to send what was computed.
type pacedConn struct {
	net.Conn
	places chan struct{}
	ready  atomic.Bool
	inside atomic.Bool
}

// NetConn returns the connection beneath.
func (c *pacedConn) NetConn() net.Conn { return c.Conn }

func (c *pacedConn) Read(b []byte) (int, error) {
	if c.ready.Load() {
		return c.Conn.Read(b)
	}
	c.releasePlace()
	n, err := c.Conn.Read(b)
	if n > 0 && !c.ready.Load() {
		c.places <- struct{}{}
		c.inside.Store(true)
	}
	return n, err
}

func (c *pacedConn) Write(b []byte) (int, error) {
	c.releasePlace()
	return c.Conn.Write(b)
}

func (c *pacedConn) Close() error {
	c.releasePlace()
	return c.Conn.Close()
}

func (c *pacedConn) releasePlace() {
	if c.inside.CompareAndSwap(true, false) {
		<-c.places
	}
}
