// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Meter stands before a storage server and counts what is read of it.
type Meter struct {
	server *http.Server
	url    string

	mu   sync.Mutex
	read map[string]int64
}

// NewMeter starts one that listens at an address and passes everything on to a
// server's URL.
func NewMeter(listen, target string) (*Meter, error) {
	to, err := url.Parse(target)
	if err != nil {
		return nil, fmt.Errorf("reading the server's URL: %w", err)
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("listening for readers: %w", err)
	}
	m := &Meter{url: "http://" + listener.Addr().String(), read: map[string]int64{}}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host // it is part of what is signed
		},
		Transport:      &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64},
		ModifyResponse: m.watch,
	}
	m.server = &http.Server{Handler: proxy, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = m.server.Serve(listener) }()
	return m, nil
}

// URL is where readers find it.
func (m *Meter) URL() string { return m.url }

// Close ends all connections.
func (m *Meter) Close() error { return m.server.Close() }

// Read returns how many bytes of objects were read whose paths have a prefix, with
// the bucket first: /bucket/key.
func (m *Meter) Read(prefix string) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	var total int64
	for path, n := range m.read {
		if strings.HasPrefix(path, prefix) {
			total += n
		}
	}
	return total
}

// watch counts the bytes of an object while they are sent. A path without a key is
// a listing.
func (m *Meter) watch(r *http.Response) error {
	path := r.Request.URL.Path
	_, key, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if r.Request.Method == http.MethodGet && r.StatusCode/100 == 2 && key != "" {
		r.Body = &counted{ReadCloser: r.Body, add: func(n int) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.read[path] += int64(n)
		}}
	}
	return nil
}

type counted struct {
	io.ReadCloser
	add func(int)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.add(n)
	return n, err
}
