// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package http

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	nethttp "net/http"
	"net/url"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kuda-io/kuda/internal/source"
)

// Source is one HTTP server, or a part of it.
type Source struct {
	// whole: the server was asked for a range and sent the whole file.
	whole     atomic.Bool
	base      *url.URL
	client    *nethttp.Client
	transport *nethttp.Transport
	// way is that of the Provenance.
	way, host   string
	credentials *source.Mount
}

// New returns the source that c describes. It reads the certificates and does
// not connect yet.
func New(c Config) (*Source, error) {
	base, err := url.Parse(c.URL)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return nil, &source.Error{Op: "opening an HTTP source", Class: source.ErrMisconfigured,
			Err: fmt.Errorf("url %q is not one such as https://host:port/base", c.URL)}
	}
	if base.User != nil {
		return nil, &source.Error{Op: "opening an HTTP source", Class: source.ErrMisconfigured,
			Err: errors.New("the url carries a password; put it into the Secret of secretRef")}
	}
	if base.RawQuery != "" || base.Fragment != "" {
		return nil, &source.Error{Op: "opening an HTTP source", Class: source.ErrMisconfigured,
			Err: errors.New("the url has a ? or #; a query that lets one in belongs into the Secret of secretRef, key query")}
	}
	transport, way, err := source.NewTransport(source.TransportConfig{CAFile: c.CAFile, CAName: c.CAName, Proxy: c.Proxy,
		Servers: []string{c.URL}})
	if err != nil {
		return nil, err
	}
	base.Path = strings.TrimRight(base.Path, "/")
	base.RawPath = strings.TrimRight(base.RawPath, "/")
	return &Source{
		base:      base,
		transport: transport,
		way:       way,
		host:      source.PlainHost(base, c.Proxy),

		credentials: c.Credentials,
		client: &nethttp.Client{
			Transport:     &authenticator{base: base, credentials: c.Credentials, next: transport},
			CheckRedirect: checkRedirect,
		},
	}, nil
}

// Identity is the base URL.
func (s *Source) Identity() string {
	return s.base.Scheme + "://" + s.base.Host + s.base.EscapedPath()
}

// Provenance names the proxy, the certificates, and all of the credentials. The
// scheme is part of the identity.
func (s *Source) Provenance(context.Context) (source.Provenance, error) {
	principal, err := readPrincipal(s.credentials)
	return source.Provenance{Way: s.way, Host: s.host, Principal: principal}, err
}

// Close frees idle connections.
func (s *Source) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

// List yields the file at a path. One that ends with a slash is a tree, which
// the index SHA256SUMS in it describes.
func (s *Source) List(ctx context.Context, remote string) iter.Seq2[source.Entry, error] {
	return func(yield func(source.Entry, error) bool) {
		key := strings.TrimPrefix(remote, "/")
		if key == "" || strings.HasSuffix(key, "/") {
			s.listTree(ctx, key, yield)
			return
		}
		yield(s.statFile(ctx, key, 1))
	}
}

// keyURL is the URL of a key, each segment of it escaped.
func (s *Source) keyURL(key string) string {
	u := *s.base
	u.Path, u.RawPath = u.Path+"/"+key, u.EscapedPath()+"/"+(&url.URL{Path: key}).EscapedPath()
	return u.String()
}

// statFile asks for the head of a file; a server that refuses HEAD is asked for its
// first byte. Each request is made up to tries times.
func (s *Source) statFile(ctx context.Context, key string, tries int) (source.Entry, error) {
	op := "reading the head of " + s.keyURL(key)
	request := func(method string, header nethttp.Header) (*nethttp.Response, error) {
		return s.requestWithRetry(ctx, tries, op, method, key, header)
	}
	response, err := request(nethttp.MethodHead, nil)
	// A length of zero is not believed: servers that make their answers give it
	// to HEAD because they made none.
	if err == nil && response.ContentLength > 0 && response.Header.Get("Accept-Ranges") == "bytes" {
		response.Body.Close()
		return s.newEntry(ctx, op, key, response, response.ContentLength, false)
	}
	if err == nil {
		response.Body.Close()
	} else if errors.Is(err, source.ErrNotFound) || source.Temporary(err) || ctx.Err() != nil {
		return source.Entry{}, err
	}
	response, err = request(nethttp.MethodGet, nethttp.Header{"Range": {"bytes=0-0"}})
	if errors.Is(err, source.ErrChanged) { // an empty file satisfies no range
		response, err = request(nethttp.MethodGet, nil)
	}
	if err != nil {
		return source.Entry{}, err
	}
	defer response.Body.Close()
	if response.StatusCode == nethttp.StatusPartialContent {
		r, err := parseContentRange(response.Header)
		if err != nil {
			return source.Entry{}, &source.Error{Op: op, Class: source.ErrMisconfigured, Err: err}
		}
		if r.total < 1 {
			return source.Entry{}, &source.Error{Op: op, Class: source.ErrMisconfigured, Err: fmt.Errorf("the server answers with the range %v", r)}
		}
		return s.newEntry(ctx, op, key, response, r.total, false)
	}
	return s.newEntry(ctx, op, key, response, response.ContentLength, true)
}

func (s *Source) newEntry(ctx context.Context, op, key string, response *nethttp.Response, size int64,
	noRanges bool) (source.Entry, error) {
	if size < 0 {
		return source.Entry{}, &source.Error{Op: op, Class: source.ErrMisconfigured,
			Err: errors.New("the server does not say how long the file is; serve it as a static file")}
	}
	if isPage(key, response.Header.Get("Content-Type")) {
		source.Note(ctx, s.keyURL(key)+" is served as text/html: check that it is the file, and not the page of a login or of an error")
	}
	return source.Entry{Key: key, Size: size, Identity: entryIdentity(response.Header), Modified: lastModified(response.Header),
		NoRanges: noRanges || s.whole.Load()}, nil
}

// isPage reports whether a type is that of web pages and a name is not.
func isPage(key, contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "text/html") {
		return false
	}
	switch strings.ToLower(path.Ext(key)) {
	case ".html", ".htm", ".xhtml":
		return false
	}
	return true
}

// lastModified is when the server says that a file was written; zero if it does not.
func lastModified(h nethttp.Header) time.Time {
	at, err := nethttp.ParseTime(h.Get("Last-Modified"))
	if err != nil {
		return time.Time{}
	}
	return at
}

// entryIdentity is the entity tag, or else the modification time.
func entryIdentity(h nethttp.Header) source.Identity {
	if tag := h.Get("ETag"); tag != "" {
		return source.Identity(tag)
	}
	if modified := h.Get("Last-Modified"); modified != "" {
		return source.Identity("W/" + modified)
	}
	return ""
}

// Open opens a range, and checks that it is one of the file that was listed.
func (s *Source) Open(ctx context.Context, e source.Entry, offset, length int64) (io.ReadCloser, error) {
	op := "reading " + s.keyURL(e.Key)
	header := nethttp.Header{}
	if e.Identity.Strong() {
		header.Set("If-Match", string(e.Identity))
	}
	whole := offset == 0 && length == e.Size
	if !whole {
		header.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, offset+length-1))
	}
	response, err := s.doRequest(ctx, op, nethttp.MethodGet, e.Key, header)
	if err != nil {
		return nil, err
	}
	if err := s.checkAnswer(ctx, e, response, offset, length); err != nil {
		response.Body.Close()
		return nil, &source.Error{Op: op, Class: source.ErrChanged, Err: err}
	}
	return source.NewReader(ctx, op, response.Body, length), nil
}

func (s *Source) checkAnswer(ctx context.Context, e source.Entry, response *nethttp.Response, offset, length int64) error {
	if got := entryIdentity(response.Header); got != e.Identity && e.Identity != "" {
		return fmt.Errorf("it is %q now, and was %q when it was listed", got, e.Identity)
	}
	whole := offset == 0 && length == e.Size
	if n := response.ContentLength; !whole && response.StatusCode == nethttp.StatusOK && (n == e.Size || n < 0) {
		if !s.whole.Swap(true) {
			source.Note(ctx, s.Identity()+" says that it sends parts of files, and sent a whole one; its files are read as a whole from now on")
		}
		return errors.New("the server does not send parts of files, so that it is to be read as a whole")
	}
	if response.ContentLength >= 0 && response.ContentLength != length {
		return fmt.Errorf("the server answered with %d bytes instead of %d", response.ContentLength, length)
	}
	if whole && response.StatusCode == nethttp.StatusOK {
		return nil
	}
	r, err := parseContentRange(response.Header)
	if err != nil {
		return err
	}
	if want := (contentRange{offset, offset + length - 1, e.Size}); r != want {
		return fmt.Errorf("the server answered with %v instead of %v", r, want)
	}
	return nil
}

// contentRange is the header of that name.
type contentRange struct{ first, last, total int64 }

func (r contentRange) String() string { return fmt.Sprintf("bytes %d-%d/%d", r.first, r.last, r.total) }

func parseContentRange(h nethttp.Header) (r contentRange, err error) {
	value := h.Get("Content-Range")
	if _, err := fmt.Sscanf(value, "bytes %d-%d/%d", &r.first, &r.last, &r.total); err != nil {
		return r, fmt.Errorf("the server answered with the content range %q", value)
	}
	return r, nil
}

// doRequest makes a request and returns a response of the statuses 200 and 206, with
// its body as it is stored.
func (s *Source) doRequest(ctx context.Context, op, method, key string, header nethttp.Header) (*nethttp.Response, error) {
	request, err := nethttp.NewRequestWithContext(ctx, method, s.keyURL(key), nil)
	if err != nil {
		return nil, &source.Error{Op: op, Class: source.ErrMisconfigured, Err: err}
	}
	for name, values := range header {
		request.Header[name] = values
	}
	// Without this a server may compress, and ranges and lengths mean other bytes.
	request.Header.Set("Accept-Encoding", "identity")
	request.Header.Set("User-Agent", "kuda")
	response, err := s.client.Do(request)
	if err != nil {
		return nil, source.Wrap(ctx, op, err)
	}
	if err := checkStatus(op, response); err != nil {
		response.Body.Close()
		return nil, err
	}
	return response, nil
}

func checkStatus(op string, response *nethttp.Response) error {
	status := response.StatusCode
	if status == nethttp.StatusOK || status == nethttp.StatusPartialContent {
		if encoding := response.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
			return &source.Error{Op: op, Class: source.ErrMisconfigured,
				Err: fmt.Errorf("the server sends the file with Content-Encoding %s; make it serve the bytes as they are", encoding)}
		}
		return nil
	}
	e := &source.Error{Op: op, Class: source.StatusClass(status), Err: errors.New("the server answered " + response.Status)}
	if after := source.ParseRetryAfter(response.Header); after > 0 && source.Temporary(e) {
		e.Class, e.RetryAfter = source.ErrThrottled, after
	}
	if errors.Is(e, source.ErrDenied) {
		e.Err = errors.New("the server answered " + response.Status + "; check the Secret of secretRef")
	}
	return e
}
