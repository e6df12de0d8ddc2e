// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/kuda-io/kuda/internal/source"
)

// class gives an error of the client its class.
func (s *Source) class(ctx context.Context, op string, err error) error {
	response, ok := errors.AsType[minio.ErrorResponse](err)
	if !ok || context.Cause(ctx) != nil {
		return source.Wrap(ctx, op, err)
	}
	return &source.Error{Op: op, Class: codeClass(response), Err: errors.New(advice(response, s.bucket))}
}

func codeClass(r minio.ErrorResponse) error {
	switch r.Code {
	case minio.NoSuchKey, minio.NoSuchBucket, minio.NoSuchVersion:
		return source.ErrNotFound
	case minio.AccessDenied, "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidTokenId",
		"InvalidToken", "AccountProblem", "AllAccessDisabled", "AllAccessDisabledException":
		return source.ErrDenied
	case "SlowDown", "SlowDownRead", "Throttling", "ThrottlingException", "RequestLimitExceeded", "RequestThrottled",
		"TooManyRequests":
		return source.ErrThrottled
	case minio.PreconditionFailed, "InvalidRange":
		return source.ErrChanged
	case "RequestTimeTooSkewed", minio.InvalidBucketName, "PermanentRedirect", "AuthorizationHeaderMalformed":
		return source.ErrMisconfigured
	}
	return source.StatusClass(r.StatusCode)
}

// advice is the service's message and what to do about it.
func advice(r minio.ErrorResponse, bucket string) string {
	text := r.Message
	if text == "" {
		text = http.StatusText(r.StatusCode)
	}
	if r.Code != "" {
		text = r.Code + ": " + text
	}
	switch {
	case r.Code == minio.NoSuchBucket:
		return text + "; check the bucket " + bucket
	case errors.Is(codeClass(r), source.ErrDenied):
		return text + "; check the keys in the Secret, and that they may list and read the bucket " + bucket
	case r.Code == "RequestTimeTooSkewed":
		return text + "; correct the clock of the node or of the service"
	}
	return text
}

func isNotFound(err error) bool { return errors.Is(err, source.ErrNotFound) }

// hint carries the Retry-After header past the client, which drops it.
type hint struct{ after time.Duration }

type hintKey struct{}

func withHint(ctx context.Context) (context.Context, *hint) {
	h := &hint{}
	return context.WithValue(ctx, hintKey{}, h), h
}

// apply adds the header to an error. A server's error that came with one is a
// request to slow down.
func (h *hint) apply(err error) error {
	e, ok := errors.AsType[*source.Error](err)
	if ok && h.after > 0 && source.Temporary(err) {
		e.Class, e.RetryAfter = source.ErrThrottled, h.after
	}
	return err
}

// retryAfter is a transport that fills the hint of its request.
type retryAfter struct{ next *http.Transport }

func (t *retryAfter) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(r)
	if err == nil && response.StatusCode >= 400 {
		if h, ok := r.Context().Value(hintKey{}).(*hint); ok {
			h.after = source.ParseRetryAfter(response.Header)
		}
	}
	return response, err
}
