// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/kuda-io/kuda/internal/source"
)

// classifyError gives an error of the client its class.
func (s *Source) classifyError(ctx context.Context, op string, err error) error {
	answer, ok := errors.AsType[minio.ErrorResponse](err)
	if ok && context.Cause(ctx) == nil {
		return &source.Error{Op: op, Class: codeClass(answer), Err: errors.New(s.messageWithAdvice(answer))}
	}
	if _, wrong := errors.AsType[x509.HostnameError](err); wrong && !s.pathStyle && strings.Contains(s.bucket, ".") {
		err = fmt.Errorf("%w; no certificate holds for a bucket with dots before the service's host name: set pathStyle to true", err)
	}
	if _, unknown := errors.AsType[*net.DNSError](err); unknown && !s.pathStyle {
		err = fmt.Errorf("%w; set pathStyle to true if the service has no host name for each bucket", err)
	}
	return source.Wrap(ctx, op, err)
}

func codeClass(r minio.ErrorResponse) error {
	switch {
	case isExpired(r.Code):
		return source.ErrDenied
	case isThrottling(r.Code):
		return source.ErrThrottled
	}
	switch r.Code {
	case minio.NoSuchKey, minio.NoSuchBucket, minio.NoSuchVersion:
		return source.ErrNotFound
	case minio.AccessDenied, "SignatureDoesNotMatch", "AccountProblem", "AllAccessDisabled", "AllAccessDisabledException":
		return source.ErrDenied
	case minio.PreconditionFailed, "InvalidRange":
		return source.ErrChanged
	case "RequestTimeTooSkewed", minio.InvalidBucketName, "PermanentRedirect", minio.AuthorizationHeaderMalformed, minio.InvalidRegion,
		"InvalidObjectState":
		return source.ErrMisconfigured
	}
	return source.StatusClass(r.StatusCode)
}

// isThrottling reports whether services ask to slow down by a code, whatever the
// status.
func isThrottling(code string) bool {
	switch code {
	case "SlowDown", "SlowDownRead", "Throttling", "ThrottlingException", "RequestLimitExceeded", "RequestThrottled", "TooManyRequests":
		return true
	}
	return false
}

// isExpired reports whether a code means that the service does not know the
// credentials, or no longer does: newer ones may work.
func isExpired(code string) bool {
	switch code {
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired", "InvalidAccessKeyId", "InvalidToken",
		"InvalidTokenId":
		return true
	}
	return false
}

// messageWithAdvice is the service's message and what to do about it.
func (s *Source) messageWithAdvice(r minio.ErrorResponse) string {
	text := r.Message
	if text == "" {
		text = http.StatusText(r.StatusCode)
	}
	if r.Code != "" {
		text = r.Code + ": " + text
	}
	class := codeClass(r)
	switch {
	case r.Code == minio.NoSuchBucket:
		return text + "; check the bucket " + s.bucket
	case r.Code == "RequestTimeTooSkewed":
		return text + "; correct the clock of the node or of the service"
	case strings.Contains(r.Message, "Server Side Encryption") && errors.Is(class, source.ErrMisconfigured):
		return text + "; the object is encrypted with a key that the client brings (SSE-C), which Kuda does not have: store it " +
			"with SSE-S3 or SSE-KMS"
	case r.Code == "InvalidObjectState":
		return text + "; the object is archived: restore it first"
	case errors.Is(class, source.ErrMisconfigured) && isWrongRegion(r) && r.Region != "":
		return text + "; the bucket is in the region " + r.Region + ": set region to it, or leave it out"
	case errors.Is(class, source.ErrDenied):
		return text + "; " + s.denied
	}
	return text
}

// deniedAdvice is what to do when the service refuses a source's credentials.
func deniedAdvice(c Config) string {
	const rights = ", and that they may list the bucket (s3:ListBucket) and read its objects (s3:GetObject): "
	switch {
	case c.Credentials != nil:
		return "check the keys in " + c.Credentials.Name + rights + c.Bucket
	case c.Keys != nil:
		return "check the keys" + rights + c.Bucket
	case c.WebIdentity != nil, c.Instance != nil:
		return "check the policies of the role: they must let it list the bucket (s3:ListBucket) and read its objects (s3:GetObject): " + c.Bucket
	default:
		return "requests are anonymous: give credentials, or make the bucket public: " + c.Bucket
	}
}

func isNotFound(err error) bool { return errors.Is(err, source.ErrNotFound) }

// hint carries the Retry-After header past the client, which drops it.
type hint struct{ after time.Duration }

type hintKey struct{}

func withHint(ctx context.Context) (context.Context, *hint) {
	h := &hint{}
	return context.WithValue(ctx, hintKey{}, h), h
}

// applyRetryAfter adds the header to an error. A server's error that came with one is a
// request to slow down.
func (h *hint) applyRetryAfter(err error) error {
	e, ok := errors.AsType[*source.Error](err)
	if ok && h.after > 0 && source.Temporary(err) {
		e.Class, e.RetryAfter = source.ErrThrottled, h.after
	}
	return err
}

// answers is a transport that fills the hint of its request, and takes away what
// the client would stumble over.
type answers struct {
	next http.RoundTripper
	// pause is the first one between two tries for a page.
	pause time.Duration
}

func (t *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	ask := t.next.RoundTrip
	if r.Method == http.MethodGet && r.URL.Query().Has("list-type") {
		ask = t.listPage
	}
	response, err := ask(r)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= 400 {
		if h, ok := r.Context().Value(hintKey{}).(*hint); ok {
			h.after = source.ParseRetryAfter(response.Header)
		}
	}
	// The writer of the object may have put anything here, often "0", and the
	// client fails when it is no time.
	response.Header.Del("Expires")
	return response, nil
}
