// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package meter

import (
	"io"
	"net"
	"sync/atomic"
)

// TCP stands before a server of any protocol and counts all bytes that it sends.
type TCP struct {
	// Addr is where clients are to go instead of to the server.
	Addr string

	listener net.Listener
	received atomic.Int64
}

// NewTCP starts one before a server, host:port, on loopback.
func NewTCP(target string) (*TCP, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	m := &TCP{Addr: l.Addr().String(), listener: l}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return // closed
			}
			go m.serve(client, target)
		}
	}()
	return m, nil
}

// serve moves bytes in both directions until one end is done.
func (m *TCP) serve(client net.Conn, target string) {
	defer client.Close()
	server, err := net.Dial("tcp", target)
	if err != nil {
		return // the client sees its connection closed
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(server, client)
		if c, ok := server.(*net.TCPConn); ok {
			_ = c.CloseWrite() // the server may have gone first
		}
	}()
	_, _ = io.Copy(client, &counted{ReadCloser: server, to: &m.received})
}

// Received returns the bytes that clients got so far.
func (m *TCP) Received() int64 { return m.received.Load() }

// Close takes no more connections.
func (m *TCP) Close() { m.listener.Close() }
