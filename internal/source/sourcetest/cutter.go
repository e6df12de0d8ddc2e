// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Cutter is a proxy in front of a server that cuts connections, or lets them
// stall, after so many bytes of the server's answer, or slows them down.
type Cutter struct {
	// Addr is where it listens: host:port.
	Addr string

	mu      sync.Mutex
	after   int64
	stall   bool
	piece   int64
	stalled chan struct{}
	conns   map[net.Conn]bool
}

// trickleEvery is the pause between the pieces of an answer that trickles.
const trickleEvery = 2 * time.Millisecond

// NewCutter starts a proxy for the server at target; it ends with the test.
func NewCutter(t testing.TB, target string) *Cutter {
	c := &Cutter{after: -1, stalled: make(chan struct{}), conns: map[net.Conn]bool{}}
	c.Addr = c.Front(t, target)
	t.Cleanup(c.Cut)
	return c
}

// Front listens for another server too, with the same manners, and returns the
// address.
func (c *Cutter) Front(t testing.TB, target string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go c.serve(conn, target)
		}
	}()
	return l.Addr().String()
}

// After makes every connection from now on end, or stall, once n bytes of
// answers went through it; n < 0 means never.
func (c *Cutter) After(n int64, stall bool) {
	c.mu.Lock()
	c.after, c.stall, c.stalled = n, stall, make(chan struct{})
	c.mu.Unlock()
	c.Cut()
}

// Trickle makes every connection from now on hand on answers in pieces of n
// bytes at most, with a pause after each.
func (c *Cutter) Trickle(n int64) {
	c.mu.Lock()
	c.piece = n
	c.mu.Unlock()
	c.Cut()
}

// Stalled is closed when a connection has stalled since the last After.
func (c *Cutter) Stalled() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stalled
}

// Cut ends all connections there are.
func (c *Cutter) Cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		conn.Close()
	}
	clear(c.conns)
}

func (c *Cutter) serve(client net.Conn, target string) {
	server, err := net.Dial("tcp", target)
	if err != nil {
		client.Close()
		return
	}
	c.mu.Lock()
	after, stall, piece, stalled := c.after, c.stall, c.piece, c.stalled
	c.conns[client], c.conns[server] = true, true
	c.mu.Unlock()
	go func() {
		_, _ = io.Copy(server, client)
		server.Close()
	}()
	switch {
	case piece > 0:
		copySlowly(client, server, piece)
	case after < 0:
		_, _ = io.Copy(client, server)
	default:
		n, _ := io.CopyN(client, server, after)
		if stall && n == after {
			c.closeStalled(stalled)
			return // both ends stay open until the test cuts them
		}
	}
	client.Close()
	server.Close()
}

// closeStalled closes stalled once.
func (c *Cutter) closeStalled(stalled chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-stalled:
	default:
		close(stalled)
	}
}

func copySlowly(to io.Writer, from io.Reader, piece int64) {
	pace := time.NewTicker(trickleEvery)
	defer pace.Stop()
	for {
		if _, err := io.CopyN(to, from, piece); err != nil {
			return
		}
		<-pace.C
	}
}
