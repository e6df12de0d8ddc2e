// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"
)

// StatusClass returns the class of an HTTP status that is not a success.
func StatusClass(status int) error {
	switch status {
	case http.StatusNotFound, http.StatusGone:
		return ErrNotFound
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		return ErrDenied
	case http.StatusTooManyRequests:
		return ErrThrottled
	case http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable:
		return ErrChanged
	case http.StatusRequestTimeout:
		return ErrTemporary
	}
	if status >= 500 {
		return ErrTemporary
	}
	return ErrMisconfigured
}

// Wrap gives an error of a network call its class. An error of the context, and
// one that has a class already, is returned with op in front only.
func Wrap(ctx context.Context, op string, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return &wrapped{op, cause}
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return &wrapped{op, err}
	}
	return &Error{Op: op, Class: netClass(err), Err: err}
}

// wrapped is fmt.Errorf("%s: %w") without the formatting.
type wrapped struct {
	op  string
	err error
}

func (w *wrapped) Error() string { return Redact(w.op + ": " + w.err.Error()) }
func (w *wrapped) Unwrap() error { return w.err }

func netClass(err error) error {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return ErrMisconfigured
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return ErrMisconfigured
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return ErrMisconfigured
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		return ErrUnreachable
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return ErrUnreachable
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return ErrUnreachable
	}
	return ErrTemporary
}

// ParseRetryAfter reads the header of that name, 0 when there is none.
func ParseRetryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}
