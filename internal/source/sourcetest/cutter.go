// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Cutter is a proxy in front of a server that cuts connections, or lets them
// stall, after so many bytes of the server's answer.
type Cutter struct {
	// Addr is where it listens: host:port.
	Addr string

	target string
	mu     sync.Mutex
	after  int64
	stall  bool
	conns  map[net.Conn]bool
}

// NewCutter starts a proxy for the server at target; it ends with the test.
func NewCutter(t testing.TB, target string) *Cutter {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &Cutter{Addr: l.Addr().String(), target: target, after: -1, conns: map[net.Conn]bool{}}
	t.Cleanup(func() {
		l.Close()
		c.Cut()
	})
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go c.serve(conn)
		}
	}()
	return c
}

// After makes every connection from now on end, or stall, once n bytes of
// answers went through it; n < 0 means never.
func (c *Cutter) After(n int64, stall bool) {
	c.mu.Lock()
	c.after, c.stall = n, stall
	c.mu.Unlock()
	c.Cut()
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

func (c *Cutter) serve(client net.Conn) {
	server, err := net.Dial("tcp", c.target)
	if err != nil {
		client.Close()
		return
	}
	c.mu.Lock()
	after, stall := c.after, c.stall
	c.conns[client], c.conns[server] = true, true
	c.mu.Unlock()
	go func() {
		_, _ = io.Copy(server, client)
		server.Close()
	}()
	if after < 0 {
		_, _ = io.Copy(client, server)
	} else {
		_, _ = io.CopyN(client, server, after)
		if stall {
			return // both ends stay open until the test cuts them
		}
	}
	client.Close()
	server.Close()
}
