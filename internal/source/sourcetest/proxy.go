// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// Proxy is an HTTP proxy in front of a server that puts other answers in place
// of the server's.
type Proxy struct {
	// Addr is where it listens: host:port.
	Addr string

	mu     sync.Mutex
	hook   func(w http.ResponseWriter, r *http.Request) bool
	answer func(r *http.Response)
}

// NewProxy starts a proxy for the server at target (host:port); it ends with the
// test. The server sees the host name that the client used: signatures cover it.
func NewProxy(t testing.TB, target string) *Proxy {
	p := &Proxy{}
	reverse := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: target})
			r.Out.Host = r.In.Host
			// What the URL says, byte by byte: signatures cover this too.
			r.Out.URL.Path, r.Out.URL.RawPath, r.Out.URL.RawQuery = r.In.URL.Path, r.In.URL.RawPath, r.In.URL.RawQuery
		},
		ModifyResponse: func(r *http.Response) error {
			p.mu.Lock()
			answer := p.answer
			p.mu.Unlock()
			if answer != nil {
				answer(r)
			}
			return nil
		},
		Transport: &http.Transport{DisableCompression: true},
		ErrorLog:  log.New(io.Discard, "", 0), // a lie about a length is no news
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		hook := p.hook
		p.mu.Unlock()
		if hook == nil || !hook(w, r) {
			reverse.ServeHTTP(w, r)
		}
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		reverse.Transport.(*http.Transport).CloseIdleConnections()
	})
	p.Addr = strings.TrimPrefix(server.URL, "http://")
	return p
}

// Answer sets a hook that is asked first; when it returns true it has answered.
func (p *Proxy) Answer(hook func(w http.ResponseWriter, r *http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hook = hook
}

// Change sets what becomes of the server's answers; it may be nil.
func (p *Proxy) Change(answer func(r *http.Response)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

// Pass makes the proxy honest again.
func (p *Proxy) Pass() {
	p.Answer(nil)
	p.Change(nil)
}
