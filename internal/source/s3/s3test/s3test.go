// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package s3test starts real servers of S3 other than MinIO for integration tests.
// Only tests import it.
package s3test

import (
	"strings"
	"testing"

	"github.com/kuda-io/kuda/internal/storagetest"
)

// Server is a running server with one bucket.
type Server struct {
	// Endpoint is http://host:port.
	Endpoint  string
	AccessKey string
	SecretKey string
	Region    string
	Bucket    string
}

// Addr is host:port.
func (s *Server) Addr() string { return strings.TrimPrefix(s.Endpoint, "http://") }

// The servers that there are.
const (
	Ceph    = "ceph"
	Moto    = "moto"
	S3Proxy = "s3proxy"
)

// Start starts a server; it ends with the test.
func Start(t testing.TB, kind string) *Server {
	t.Helper()
	s := &Server{}
	storagetest.Start(t, kind, s)
	return s
}
