// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	nethttp "net/http"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/kuda-io/kuda/internal/source"
)

// measureSize reads from an object whose HEAD said that it has no bytes, or did not
// say how many it has, and returns how many there are.
func (s *Source) measureSize(ctx context.Context, client minio.Core, info minio.ObjectInfo) (int64, error) {
	// Options hold a map, so a copy of them is not a second set.
	var first, whole minio.GetObjectOptions
	if info.ETag != "" {
		if err := errors.Join(first.SetMatchETag(info.ETag), whole.SetMatchETag(info.ETag)); err != nil {
			return 0, err
		}
	}
	if err := first.SetRange(0, 0); err != nil {
		return 0, err
	}
	size, err := s.measureBy(ctx, client, info.Key, first)
	if answer, ok := errors.AsType[minio.ErrorResponse](err); ok && answer.StatusCode == nethttp.StatusRequestedRangeNotSatisfiable {
		// So it is, of an object without bytes; a GET of all of it says so.
		return s.measureBy(ctx, client, info.Key, whole)
	}
	return size, err
}

// measureBy returns the size that the answer to a GET shows.
func (s *Source) measureBy(ctx context.Context, client minio.Core, key string, options minio.GetObjectOptions) (int64, error) {
	body, got, header, err := client.GetObject(ctx, s.bucket, key, options)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	unknown := func(text string) error {
		return &source.Error{Op: "measuring " + s.identity + "/" + key, Class: source.ErrMisconfigured, Err: errors.New(text)}
	}
	if text := header.Get("Content-Range"); text != "" {
		var first, last, total int64
		if _, err := fmt.Sscanf(text, "bytes %d-%d/%d", &first, &last, &total); err != nil || total < 1 {
			return 0, unknown(fmt.Sprintf("the service answers with the range %q", text))
		}
		return total, nil
	}
	if got.Size > 0 {
		return got.Size, nil
	}
	var first [1]byte
	n, err := io.ReadFull(body, first[:])
	switch {
	case n > 0:
		return 0, unknown("the service does not say how many bytes the object has, neither to HEAD nor to GET; correct it, or " +
			"the proxy before it")
	case errors.Is(err, io.EOF):
		return 0, nil
	}
	return 0, err
}

// withReason returns the error of a HEAD with the service's reason, which an answer
// to HEAD has no room for: it asks for the first byte, to be refused in words.
func (s *Source) withReason(ctx context.Context, client minio.Core, key string, err error) error {
	answer, ok := errors.AsType[minio.ErrorResponse](err)
	if !ok || (answer.StatusCode != nethttp.StatusBadRequest && answer.StatusCode != nethttp.StatusForbidden) || answer.Region != "" {
		return err
	}
	var options minio.GetObjectOptions
	if options.SetRange(0, 0) != nil {
		return err
	}
	body, _, _, getErr := client.GetObject(ctx, s.bucket, key, options)
	if getErr == nil {
		body.Close()
		return err
	}
	if reason, ok := errors.AsType[minio.ErrorResponse](getErr); ok && reason.StatusCode == answer.StatusCode &&
		!strings.HasPrefix(reason.Code, "4") {
		return reason
	}
	return err
}
