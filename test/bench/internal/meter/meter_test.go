// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package meter

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestListingsDoNotCountAsObjects(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bucket/missing" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, strings.Repeat("x", 1000))
	}))
	defer server.Close()
	m, err := NewHTTP(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for _, path := range []string{"/bucket/key", "/bucket/a/b?versionId=1", "/bucket/?list-type=2&prefix=a", "/bucket/missing"} {
		r, err := http.Get(m.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
	}
	if objects, others := m.Objects(); objects != 2000 || others <= 1000 {
		t.Errorf("%d bytes of objects, %d others", objects, others)
	}
}

func TestSignedHostIsPreserved(t *testing.T) {
	hosts := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { hosts <- r.Host }))
	defer server.Close()
	m, err := NewHTTP(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	r, err := http.Get(m.URL)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if got := <-hosts; "http://"+got != m.URL {
		t.Errorf("the server was called %s", got)
	}
}

func TestOnlyReceivedBytesAreCounted(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.Copy(io.Discard, c)
		_, _ = io.WriteString(c, "answer")
	}()
	m, err := NewTCP(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	c, err := net.Dial("tcp", m.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, strings.Repeat("q", 5000))
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err != nil || string(got) != "answer" || m.Received() != 6 {
		t.Errorf("got %q, %v; counted %d", got, err, m.Received())
	}
}
