// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package alluxio

import (
	"context"
	"errors"
	"strings"

	"connectrpc.com/connect"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/alluxio/client"
)

// Classify gives an error of package client its class. What a server answered counts by
// its code; what became of a connection by its cause, because connect has the same
// code for much.
func Classify(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	if context.Cause(ctx) != nil {
		return source.Wrap(ctx, op, err)
	}
	if _, ok := errors.AsType[*source.Error](err); ok {
		return source.Wrap(ctx, op, err)
	}
	if errors.Is(err, client.ErrNoWorker) {
		return &source.Error{Op: op, Class: source.ErrUnreachable, Err: err}
	}
	answer, ok := errors.AsType[*connect.Error](err)
	if !ok || !connect.IsWireError(err) {
		return source.Wrap(ctx, op, err)
	}
	text, _, _ := strings.Cut(answer.Message(), "\n")
	return &source.Error{Op: op, Class: codeClass(answer.Code()), Err: errors.New(text)}
}

// codeClass maps the codes that Alluxio's servers answer with. What is not known may
// pass.
func codeClass(code connect.Code) error {
	switch code {
	case connect.CodeNotFound:
		return source.ErrNotFound
	case connect.CodePermissionDenied, connect.CodeUnauthenticated:
		return source.ErrDenied
	case connect.CodeInvalidArgument, connect.CodeUnimplemented:
		return source.ErrMisconfigured
	case connect.CodeResourceExhausted:
		return source.ErrThrottled
	}
	return source.ErrTemporary
}
