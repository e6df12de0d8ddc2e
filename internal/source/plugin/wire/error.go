// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"context"
	"errors"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	sourcev1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/source/v1alpha1"
	"github.com/kuda-io/kuda/internal/source"
)

// maxText bounds each text of an error, in bytes: it becomes a part of HTTP
// trailers, and of the status of an object.
const maxText = 2 << 10

// maxRetryAfter bounds what a plugin may ask for.
const maxRetryAfter = time.Hour

// classes has the code and the detail of each class of error.
var classes = []struct {
	err    error
	detail sourcev1alpha1.ErrorClass
	code   connect.Code
}{
	{source.ErrNotFound, sourcev1alpha1.ErrorClass_ERROR_CLASS_NOT_FOUND, connect.CodeNotFound},
	{source.ErrDenied, sourcev1alpha1.ErrorClass_ERROR_CLASS_DENIED, connect.CodePermissionDenied},
	{source.ErrThrottled, sourcev1alpha1.ErrorClass_ERROR_CLASS_THROTTLED, connect.CodeResourceExhausted},
	{source.ErrChanged, sourcev1alpha1.ErrorClass_ERROR_CLASS_CHANGED, connect.CodeAborted},
	{source.ErrTemporary, sourcev1alpha1.ErrorClass_ERROR_CLASS_TEMPORARY, connect.CodeInternal},
	{source.ErrUnreachable, sourcev1alpha1.ErrorClass_ERROR_CLASS_UNREACHABLE, connect.CodeUnavailable},
	{source.ErrMisconfigured, sourcev1alpha1.ErrorClass_ERROR_CLASS_MISCONFIGURED, connect.CodeInvalidArgument},
	{source.ErrCredentials, sourcev1alpha1.ErrorClass_ERROR_CLASS_CREDENTIALS, connect.CodeFailedPrecondition},
}

// EncodeError returns the error with which a call ends. One without a class is
// temporary.
func EncodeError(err error) error {
	detail := &sourcev1alpha1.ErrorDetail{Class: sourcev1alpha1.ErrorClass_ERROR_CLASS_TEMPORARY}
	code, cause := connect.CodeInternal, err.Error()
	if errors.Is(err, context.Canceled) {
		return connect.NewError(connect.CodeCanceled, err)
	}
	for _, c := range classes {
		if errors.Is(err, c.err) {
			code, detail.Class = c.code, c.detail
			break
		}
	}
	if e, ok := errors.AsType[*source.Error](err); ok {
		if e.RetryAfter > 0 {
			detail.RetryAfter = durationpb.New(e.RetryAfter)
		}
		if before, ok := strings.CutSuffix(cause, e.Error()); ok {
			detail.Operation, cause = sanitizeText(before+e.Op), ""
			if e.Err != nil {
				cause = e.Err.Error()
			}
		}
	}
	answer := connect.NewError(code, errors.New(sanitizeText(cause)))
	if d, err := connect.NewErrorDetail(detail); err == nil {
		answer.AddDetail(d)
	}
	return answer
}

// DecodeError returns the error that a plugin answered with. Its texts are
// bounded and printable. op is what was asked of the plugin, for a plugin that
// does not say what it tried.
func DecodeError(plugin, op string, answer *connect.Error) error {
	e := &source.Error{Class: codeClass(answer.Code())}
	for _, d := range answer.Details() {
		value, err := d.Value()
		detail, ok := value.(*sourcev1alpha1.ErrorDetail)
		if err != nil || !ok {
			continue
		}
		for _, c := range classes {
			if c.detail == detail.GetClass() {
				e.Class = c.err
			}
		}
		if after := detail.GetRetryAfter(); after.IsValid() {
			e.RetryAfter = min(max(after.AsDuration(), 0), maxRetryAfter)
		}
		if detail.GetOperation() != "" {
			op = sanitizeText(detail.GetOperation())
		}
		break
	}
	e.Op = "plugin " + plugin + ": " + op
	if cause := sanitizeText(answer.Message()); cause != "" {
		e.Err = errors.New(cause)
	}
	return e
}

func codeClass(code connect.Code) error {
	switch code {
	case connect.CodeUnauthenticated:
		return source.ErrDenied
	case connect.CodeDeadlineExceeded:
		return source.ErrUnreachable
	case connect.CodeUnimplemented:
		return source.ErrMisconfigured
	}
	for _, c := range classes {
		if c.code == code {
			return c.err
		}
	}
	return source.ErrTemporary
}

// sanitizeText makes a text short and printable on one line.
func sanitizeText(s string) string {
	if len(s) > maxText {
		s = s[:maxText] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
}
