// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"connectrpc.com/connect"
)

type contextKey struct{}

// Into answers a context that carries the caller.
func Into(ctx context.Context, p Pod) context.Context {
	return context.WithValue(ctx, contextKey{}, p)
}

// From answers the caller that the interceptor put into the context.
func From(ctx context.Context) (Pod, bool) {
	p, ok := ctx.Value(contextKey{}).(Pod)
	return p, ok
}

// interceptor authenticates every call before its handler runs.
type interceptor struct {
	authenticate func(context.Context, string) (Pod, error)
}

// NewInterceptor puts the caller's pod into the context of each call, and ends
// calls without one with CodeUnauthenticated.
func NewInterceptor(a *Authenticator) connect.Interceptor {
	return &interceptor{authenticate: a.Authenticate}
}

func (i *interceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
		ctx, err := i.identify(ctx, request.Header())
		if err != nil {
			return nil, err
		}
		return next(ctx, request)
	}
}

func (i *interceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (i *interceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		ctx, err := i.identify(ctx, conn.RequestHeader())
		if err != nil {
			return err
		}
		return next(ctx, conn)
	}
}

func (i *interceptor) identify(ctx context.Context, header http.Header) (context.Context, error) {
	scheme, token, _ := strings.Cut(header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		token = ""
	}
	p, err := i.authenticate(ctx, strings.TrimSpace(token))
	switch {
	case err == nil:
		return Into(ctx, p), nil
	case errors.Is(err, ErrRefused):
		return nil, connect.NewError(connect.CodeUnauthenticated, err)
	default:
		return nil, connect.NewError(connect.CodeUnavailable, err)
	}
}
