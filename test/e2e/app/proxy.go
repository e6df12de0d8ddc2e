// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"
	"net"
)

// serveProxy leads connections to another address, as the sidecar of a mesh does.
func serveProxy(addresses []string) error {
	if len(addresses) != 2 {
		return errors.New("usage: proxy HOST:PORT HOST:PORT")
	}
	listener, err := net.Listen("tcp", addresses[0])
	if err != nil {
		return err
	}
	for {
		c, err := listener.Accept()
		if err != nil {
			return err
		}
		go lead(c, addresses[1])
	}
}

// lead copies both ways until one side is done.
func lead(c net.Conn, target string) {
	defer c.Close()
	other, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer other.Close()
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{c, other}, {other, c}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1])
			done <- struct{}{}
		}()
	}
	<-done
}
