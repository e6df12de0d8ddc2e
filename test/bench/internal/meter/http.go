// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package meter

import (
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
)

// HTTP stands before an HTTP or S3 server. It counts the bytes of answers, those
// of objects apart from those of listings and errors.
type HTTP struct {
	// URL is where clients are to go instead of to the server.
	URL string

	server          *http.Server
	objects, others atomic.Int64
}

// NewHTTP starts one before a server, http://host:port, on loopback.
func NewHTTP(target string) (*HTTP, error) {
	to, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	m := &HTTP{URL: "http://" + l.Addr().String()}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			// The signature covers the host and the path as the client wrote them.
			r.Out.URL.Scheme, r.Out.URL.Host = to.Scheme, to.Host
			r.Out.Host = r.In.Host
		},
		Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 256},
		ModifyResponse: func(r *http.Response) error {
			counter := &m.others
			if isObject(r) {
				counter = &m.objects
			}
			r.Body = &counted{ReadCloser: r.Body, to: counter}
			return nil
		},
	}
	m.server = &http.Server{Handler: proxy}
	go func() { _ = m.server.Serve(l) }() // ends with Close
	return m, nil
}

// isObject reports whether a response is an object's bytes, not a listing or an error.
func isObject(r *http.Response) bool {
	if r.StatusCode != http.StatusOK && r.StatusCode != http.StatusPartialContent {
		return false
	}
	query := r.Request.URL.Query()
	for _, name := range []string{"list-type", "location", "prefix", "delimiter"} {
		if query.Has(name) {
			return false
		}
	}
	_, key, _ := strings.Cut(strings.TrimPrefix(r.Request.URL.Path, "/"), "/")
	return key != "" && r.Request.Method == http.MethodGet
}

// Objects returns the bytes of objects that clients got so far, and of all else.
func (m *HTTP) Objects() (objects, others int64) { return m.objects.Load(), m.others.Load() }

// Close cuts all connections.
func (m *HTTP) Close() { _ = m.server.Close() } // only the listener could fail, which is not needed then

type counted struct {
	io.ReadCloser
	to *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.to.Add(int64(n))
	return n, err
}
