// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/local"
)

// NewProxy returns the backend for files of a source that a caching HTTP proxy may have,
// http://host:port. It does not connect yet.
func NewProxy(address string, origin source.Proxied) (Backend, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" || u.Host == "" || u.User != nil {
		return nil, &source.Error{Op: "opening a cache", Class: source.ErrMisconfigured,
			Err: errors.New("httpProxy.url is not a URL such as http://host:port")} // it may carry a password
	}
	dialer := &net.Dialer{Timeout: ConnectLimit, KeepAlive: 30 * time.Second, Control: local.Control(address)}
	return &proxy{
		identity: "http-proxy://" + u.Host, origin: origin,
		transport: &http.Transport{
			Proxy: http.ProxyURL(u), DialContext: dialer.DialContext,
			MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second, ReadBufferSize: 64 << 10,
			DisableCompression: true, Protocols: onlyHTTP1(), MaxResponseHeaderBytes: maxHeaderBytes,
		},
	}, nil
}

// maxHeaderBytes bounds the headers of an answer, of which many come at a time.
const maxHeaderBytes = 64 << 10

func onlyHTTP1() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	return p
}

// proxy is a caching HTTP proxy.
type proxy struct {
	identity  string
	origin    source.Proxied
	transport *http.Transport
}

// Identity is "http-proxy://host:port".
func (p *proxy) Identity() string { return p.identity }

func (p *proxy) Close() error {
	p.transport.CloseIdleConnections()
	return nil
}

func (p *proxy) failed(reason string, format string, args ...any) error {
	return &Error{Reason: reason, Cache: p.identity, Err: fmt.Errorf(format, args...)}
}

// Open asks for a range without a condition: the proxy may have it under any entity tag,
// and the checksum decides.
func (p *proxy) Open(ctx context.Context, e source.Entry, offset, length int64) (io.ReadCloser, error) {
	request, err := p.origin.Request(ctx, e)
	if err != nil {
		return nil, p.failed(ReasonMisconfigured, "%w", err)
	}
	if request.URL.Scheme != "http" {
		return nil, p.failed(ReasonMisconfigured, "no proxy can keep what TLS protects; name the server by http://")
	}
	whole := offset == 0 && length == e.Size
	if !whole {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, offset+length-1))
	}
	request.Header.Set("Accept-Encoding", "identity")
	request.Header.Set("User-Agent", "kuda")
	response, err := p.transport.RoundTrip(request)
	if err != nil {
		return nil, p.failed(ReasonFailed, "%w", err)
	}
	if err := p.checkAnswer(response, e, offset, length); err != nil {
		response.Body.Close()
		return nil, err
	}
	return source.NewReader(ctx, "reading from "+p.identity, response.Body, length), nil
}

// checkAnswer returns an error unless the answer is the range that was asked for.
func (p *proxy) checkAnswer(response *http.Response, e source.Entry, offset, length int64) error {
	whole := offset == 0 && length == e.Size
	switch status := response.StatusCode; {
	case status == http.StatusNotFound || status == http.StatusGone:
		return p.failed(ReasonMissing, "it answered %s", response.Status)
	case status == http.StatusForbidden || status == http.StatusUnauthorized || status == http.StatusProxyAuthRequired:
		return p.failed(ReasonMisconfigured, "it answered %s; it must pass on the query and the host of requests", response.Status)
	case status == http.StatusRequestedRangeNotSatisfiable:
		return p.failed(ReasonStale, "it answered %s", response.Status)
	case status == http.StatusOK && whole:
		if n := response.ContentLength; n >= 0 && n != length {
			return p.failed(ReasonStale, "it has %d bytes instead of %d", n, length)
		}
		return nil
	case status != http.StatusPartialContent:
		return p.failed(ReasonFailed, "it answered %s", response.Status)
	}
	want := fmt.Sprintf("bytes %d-%d/%d", offset, offset+length-1, e.Size)
	if got := response.Header.Get("Content-Range"); got != want {
		return p.failed(ReasonStale, "it answered with the range %q instead of %q", got, want)
	}
	return nil
}
