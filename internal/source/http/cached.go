// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package http

import (
	"context"
	"errors"
	nethttp "net/http"
	"strings"

	"github.com/kuda-io/kuda/internal/source"
)

// Prove returns the checksum that an index has of a file.
func (s *Source) Prove(_ context.Context, e source.Entry) (string, error) {
	if strings.HasPrefix(e.Checksum, "sha256:") {
		return e.Checksum, nil
	}
	return "", nil
}

// Request is for files that any user may read: a proxy would keep those of others, too, and
// would see the credentials.
func (s *Source) Request(ctx context.Context, e source.Entry) (*nethttp.Request, error) {
	if s.credentials != nil {
		return nil, &source.Error{Op: "reading through a proxy", Class: source.ErrMisconfigured,
			Err: errors.New("a source with secretRef has no cache httpProxy: the proxy would see the credentials, and keep the files for all")}
	}
	return nethttp.NewRequestWithContext(ctx, nethttp.MethodGet, s.keyURL(e.Key), nil)
}
