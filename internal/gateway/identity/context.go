// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"
	"net/http"
	"strings"
)

type contextKey struct{}

// Into returns a context that carries the caller.
func Into(ctx context.Context, p Pod) context.Context {
	return context.WithValue(ctx, contextKey{}, p)
}

// From returns the caller that the gateway's door put into the context.
func From(ctx context.Context) (Pod, bool) {
	p, ok := ctx.Value(contextKey{}).(Pod)
	return p, ok
}

// Token returns the bearer token of a request; empty when it has none.
func Token(header http.Header) string {
	scheme, token, _ := strings.Cut(header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
