// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package managertest

import (
	"net"
	"sync"
	"testing"
)

// Line is a way to the gateway that can be held: its connections stay open, and nothing
// comes through, as when the process at one end hangs.
type Line struct {
	Address string

	mu   sync.Mutex
	cond *sync.Cond
	held bool
}

// NewLine leads to an address until the test ends.
func NewLine(t *testing.T, to string) *Line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &Line{Address: listener.Addr().String()}
	l.cond = sync.NewCond(&l.mu)
	t.Cleanup(func() {
		_ = listener.Close()
		l.Hold(false)
	})
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			go l.copyBytes(near, far)
			go l.copyBytes(far, near)
		}
	}()
	return l
}

// Hold holds the line, or lets go of it.
func (l *Line) Hold(held bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = held
	l.cond.Broadcast()
}

func (l *Line) copyBytes(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		l.mu.Lock()
		for l.held {
			l.cond.Wait()
		}
		l.mu.Unlock()
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}
