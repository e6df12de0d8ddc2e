// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package connlimit

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// serve serves "ok" behind a limit of connections.
func serve(t *testing.T, connections int) *Listener {
	t.Helper()
	inner, err := Listen(t.Context(), "127.0.0.1:0", 16<<10)
	if err != nil {
		t.Fatal(err)
	}
	l := Limit(inner, connections)
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/known" {
				MarkKnown(r.Context())
			}
			_, _ = io.WriteString(w, "ok")
		}),
		ReadHeaderTimeout: time.Minute, ConnState: l.Touch, ConnContext: l.Context,
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return l
}

func dial(t *testing.T, l *Listener, from string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// client asks over one connection that it keeps.
func client(t *testing.T, from string) *http.Client {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	transport := &http.Transport{DialContext: d.DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 5 * time.Second}
}

func ask(t *testing.T, c *http.Client, l *Listener) {
	t.Helper()
	askFor(t, c, l, "/")
}

func askFor(t *testing.T, c *http.Client, l *Listener, path string) {
	t.Helper()
	resp, err := c.Get("http://" + l.Addr().String() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "ok" {
		t.Fatalf("got %q, %v", body, err)
	}
}

func TestSilentConnectionsDisplaceOnlyThemselves(t *testing.T) {
	const limit = 20
	l := serve(t, limit)
	known := client(t, "127.0.0.9")
	ask(t, known, l)
	for range 500 {
		dial(t, l, "127.0.0.1")
	}
	// A dial returns before the server accepts: what is still queued would be counted below.
	for deadline := time.Now().Add(time.Minute); l.Evicted() < 1+500-limit; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the flood was not accepted")
		}
	}
	before := l.Evicted()
	ask(t, known, l)
	if l.Evicted() != before {
		t.Error("a flood from another address closed a kept connection")
	}
	// Also a new connection, and one from the flood's own address, is served.
	ask(t, client(t, "127.0.0.10"), l)
	ask(t, client(t, "127.0.0.1"), l)
	if open := l.Open(); open > limit {
		t.Errorf("%d connections are open, the limit is %d", open, limit)
	}
}

func TestAFloodFromTheSameAddressClosesNoKnownConnection(t *testing.T) {
	l := serve(t, 20)
	known := client(t, "127.0.0.1")
	dialed := 0
	transport, _ := known.Transport.(*http.Transport)
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		dialed++
		return dial(ctx, network, address)
	}
	askFor(t, known, l, "/known")
	for range 500 {
		c, err := dial(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	ask(t, known, l)
	if dialed != 1 {
		t.Errorf("the known caller connected %d times", dialed)
	}
}

func TestAClosedConnectionMakesRoom(t *testing.T) {
	l := serve(t, 5)
	for range 50 {
		c := client(t, "127.0.0.1")
		ask(t, c, l)
		c.CloseIdleConnections()
	}
	if l.Open() > 5 {
		t.Errorf("%d connections are open", l.Open())
	}
}
