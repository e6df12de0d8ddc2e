// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package all

import (
	"context"
	"errors"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/http"
	"github.com/kuda-io/kuda/internal/source/s3"
)

// Config describes a source; exactly one field is set.
type Config struct {
	// S3 is for everything that speaks the S3 protocol: minio, ceph, s3.
	S3 *s3.Config
	// HTTP is for HTTP servers.
	HTTP *http.Config
}

// Open returns the source that a config describes. It reads the certificates
// and checks the settings, and does not connect yet.
func Open(ctx context.Context, c Config) (source.Source, error) {
	switch {
	case c.S3 != nil && c.HTTP == nil:
		return s3.New(*c.S3)
	case c.HTTP != nil && c.S3 == nil:
		return http.New(*c.HTTP)
	}
	return nil, &source.Error{Op: "opening a source", Class: source.ErrMisconfigured,
		Err: errors.New("set exactly one kind of source")}
}
