// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"context"
	"fmt"
	"io"
	"iter"
	nethttp "net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/kuda-io/kuda/internal/source"
)

// Source is one bucket.
type Source struct {
	identity  string
	bucket    string
	client    minio.Core
	transport *nethttp.Transport
}

// New returns the source that c describes. It reads the certificates and does
// not connect yet.
func New(c Config) (*Source, error) {
	misconfigured := func(format string, args ...any) error {
		return &source.Error{Op: "opening an S3 source", Class: source.ErrMisconfigured, Err: fmt.Errorf(format, args...)}
	}
	endpoint, err := url.Parse(c.Endpoint)
	if err != nil || endpoint.Host == "" || (endpoint.Scheme != "http" && endpoint.Scheme != "https") {
		return nil, misconfigured("endpoint %q is not a URL such as https://host:port", c.Endpoint)
	}
	if c.Bucket == "" {
		return nil, misconfigured("no bucket is given")
	}
	transport, err := source.NewTransport(source.TransportConfig{CAFile: c.CAFile, CAName: c.CAName, Proxy: c.Proxy})
	if err != nil {
		return nil, err
	}
	lookup := minio.BucketLookupDNS
	if c.PathStyle {
		lookup = minio.BucketLookupPath
	}
	client, err := minio.New(endpoint.Host, &minio.Options{
		Creds:        newCredentials(c),
		Secure:       endpoint.Scheme == "https",
		Transport:    &retryAfter{transport},
		Region:       c.Region,
		BucketLookup: lookup,
		MaxRetries:   1,
	})
	if err != nil {
		return nil, misconfigured("%w", err)
	}
	client.SetAppInfo("kuda", "v1alpha1")
	return &Source{
		identity:  "s3://" + endpoint.Host + "/" + c.Bucket,
		bucket:    c.Bucket,
		client:    minio.Core{Client: client},
		transport: transport,
	}, nil
}

// Identity is "s3://host:port/bucket".
func (s *Source) Identity() string { return s.identity }

// Close frees idle connections.
func (s *Source) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

// List yields the object at path, or those below path + "/". A path that is
// empty or ends with a slash is a prefix only.
func (s *Source) List(ctx context.Context, path string) iter.Seq2[source.Entry, error] {
	return func(yield func(source.Entry, error) bool) {
		key := strings.TrimLeft(path, "/")
		op := "listing " + s.identity + "/" + key
		if key != "" && !strings.HasSuffix(key, "/") {
			entry, err := s.stat(ctx, key)
			if err == nil {
				yield(entry, nil)
				return
			}
			if class := s.class(ctx, "reading the head of "+s.identity+"/"+key, err); !isNotFound(class) {
				yield(source.Entry{}, class)
				return
			}
			key += "/"
		}
		s.listTree(ctx, op, key, yield)
	}
}

// listTree yields the objects below prefix, without directory markers.
func (s *Source) listTree(ctx context.Context, op, prefix string, yield func(source.Entry, error) bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ctx, hint := withHint(ctx)
	found := false
	for info := range s.client.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if info.Err != nil {
			yield(source.Entry{}, hint.apply(s.class(ctx, op, info.Err)))
			return
		}
		found = true
		if strings.HasSuffix(info.Key, "/") && info.Size == 0 {
			continue
		}
		if !yield(entry(strings.TrimPrefix(info.Key, prefix), info), nil) {
			return
		}
	}
	if err := context.Cause(ctx); err != nil {
		yield(source.Entry{}, source.Wrap(ctx, op, err))
		return
	}
	if !found && prefix != "" {
		yield(source.Entry{}, &source.Error{Op: op, Class: source.ErrNotFound,
			Err: fmt.Errorf("the bucket %s has no object of that name, and none below it; check remotePath", s.bucket)})
	}
}

func (s *Source) stat(ctx context.Context, key string) (source.Entry, error) {
	info, err := s.client.StatObject(ctx, s.bucket, key, minio.StatObjectOptions{})
	if err != nil {
		return source.Entry{}, err
	}
	info.Key = key
	return entry("", info), nil
}

func entry(path string, info minio.ObjectInfo) source.Entry {
	return source.Entry{Path: path, Key: info.Key, Size: info.Size, Identity: identity(info)}
}

// identity is the ETag. A service that gives none leaves the modification time,
// whose resolution of a second proves nothing.
func identity(info minio.ObjectInfo) source.Identity {
	if info.ETag != "" {
		return source.Identity(strconv.Quote(info.ETag))
	}
	return source.Identity("W/" + info.LastModified.UTC().Format("20060102T150405"))
}

// Open opens a range with If-Match, and checks what comes back against the
// listing too, for services that ignore the header.
func (s *Source) Open(ctx context.Context, e source.Entry, offset, length int64) (io.ReadCloser, error) {
	op := "reading " + s.identity + "/" + e.Key
	var opts minio.GetObjectOptions
	if e.Identity.Strong() {
		if err := opts.SetMatchETag(strings.Trim(string(e.Identity), `"`)); err != nil {
			return nil, &source.Error{Op: op, Class: source.ErrMisconfigured, Err: err}
		}
	}
	whole := offset == 0 && length == e.Size
	if !whole {
		if err := opts.SetRange(offset, offset+length-1); err != nil {
			return nil, &source.Error{Op: op, Class: source.ErrMisconfigured, Err: err}
		}
	}
	ctx, hint := withHint(ctx)
	body, info, header, err := s.client.GetObject(ctx, s.bucket, e.Key, opts)
	if err != nil {
		return nil, hint.apply(s.class(ctx, op, err))
	}
	if err := checkAnswer(e, info, header, offset, length, whole); err != nil {
		body.Close()
		return nil, &source.Error{Op: op, Class: source.ErrChanged, Err: err}
	}
	return source.NewReader(ctx, op, body, length), nil
}

func checkAnswer(e source.Entry, info minio.ObjectInfo, header nethttp.Header, offset, length int64, whole bool) error {
	if got := identity(info); got != e.Identity {
		return fmt.Errorf("it is %s now, and was %s when it was listed", got, e.Identity)
	}
	if info.Size >= 0 && info.Size != length {
		return fmt.Errorf("the service answered with %d bytes instead of %d", info.Size, length)
	}
	if whole {
		return nil
	}
	want := fmt.Sprintf("bytes %d-%d/%d", offset, offset+length-1, e.Size)
	if got := header.Get("Content-Range"); got != want {
		return fmt.Errorf("the service answered with the range %q instead of %q", got, want)
	}
	return nil
}
