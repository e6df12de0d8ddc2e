// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"context"
	"errors"
	"fmt"
	nethttp "net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/kuda-io/kuda/internal/source"
)

// provable are the algorithms of checksums that are of the bytes of a whole object.
var provable = []string{"sha256", "crc64nvme", "crc32c", "md5"}

func isProvable(checksum string) bool {
	algorithm, _, _ := strings.Cut(checksum, ":")
	return slices.Contains(provable, algorithm)
}

// Prove asks for the head of an object whose listing has no checksum: one request, which
// takes the right to read the object. Of an object that was stored in parts it may return
// the ETag, which is made of the MD5s of the parts.
func (s *Source) Prove(ctx context.Context, e source.Entry) (string, error) {
	if isProvable(e.Checksum) {
		return e.Checksum, nil
	}
	key, _ := splitVersion(e.Key)
	now, tagOfBytes, err := s.headObject(ctx, key)
	if err != nil {
		return "", err
	}
	if now.Identity != e.Identity || now.Size != e.Size || now.Modified.Sub(e.Modified).Abs() > time.Second {
		return "", &source.Error{Op: "reading the head of " + s.identity + "/" + key, Class: source.ErrChanged,
			Err: fmt.Errorf("it is %s now, and was %s when it was listed", now.Identity, e.Identity)}
	}
	if isProvable(now.Checksum) || tagOfBytes {
		return now.Checksum, nil
	}
	return "", nil
}

// Original is the object's URL without the endpoint, and its entity tag.
func (s *Source) Original(e source.Entry) source.Original {
	key, _ := splitVersion(e.Key)
	return source.Original{URL: "s3://" + s.bucket + "/" + key, Path: key, Tag: strings.Trim(string(e.Identity), `"`)}
}

// signedFor is how long a signed URL holds: a proxy may fetch what it lacks for as long.
const signedFor = time.Hour

// Request signs a URL, so that the proxy gets no key.
func (s *Source) Request(ctx context.Context, e source.Entry) (*nethttp.Request, error) {
	key, _ := splitVersion(e.Key)
	used := s.signing.Load()
	u, err := used.client.Presign(ctx, nethttp.MethodGet, s.bucket, key, signedFor, nil)
	if answer, ok := errors.AsType[minio.ErrorResponse](err); ok && strings.Contains(answer.Message, "anonymous") {
		u, err = s.plainURL(key), nil
	}
	if err != nil {
		return nil, s.classifyError(ctx, "signing a request", err)
	}
	return nethttp.NewRequestWithContext(ctx, nethttp.MethodGet, u.String(), nil)
}

// plainURL is that of an object for those who sign nothing.
func (s *Source) plainURL(key string) *url.URL {
	u := s.endpoint
	if s.pathStyle {
		u.Path = "/" + s.bucket + "/" + key
	} else {
		u.Host, u.Path = s.bucket+"."+u.Host, "/"+key
	}
	return &u
}
