// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

func TestAPeerIsHeardWhenItsBytesArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Limits{Strangers: 20, Patience: time.Minute, Known: 100, PerPod: 2, PerNamespace: 100})
		near, far := net.Pipe()
		defer far.Close()
		b.source.next <- &fakeConn{Conn: near, from: net.IPv4(10, 0, 0, 1)}
		c, err := b.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		heard := Heard(Context(t.Context(), c))
		for range 2 {
			go func() { _, _ = far.Write([]byte("x")) }()
			if _, err := c.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			at := time.Now()
			time.Sleep(10 * time.Second)
			if got := heard(); !got.Equal(at) {
				t.Errorf("heard at %s, bytes came at %s", got, at)
			}
		}
		if got := Heard(context.Background())(); !got.Equal(time.Now()) {
			t.Errorf("without a connection: %s", got)
		}
	})
}
