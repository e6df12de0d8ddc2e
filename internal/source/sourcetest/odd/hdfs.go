// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package odd

import (
	"bufio"
	"net"
	"testing"
)

// firstInode is a number below which a namenode numbers no file.
const firstInode = 16385

// NewHDFS starts a namenode and a datanode, which end with the test. They do
// not authenticate their clients, and each file is one block.
func NewHDFS(t testing.TB) *Server {
	t.Helper()
	s := &Server{files: map[string]file{}}
	s.datanode = serveConnections(t, s.serveBlocks)
	s.URL = serveConnections(t, s.serveCalls)
	return s
}

// serveConnections serves connections until the test ends, and returns the address.
func serveConnections(t testing.TB, serve func(conn net.Conn, in *bufio.Reader) error) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_ = serve(conn, bufio.NewReader(conn)) // the client may have gone
			}()
		}
	}()
	return l.Addr().String()
}
