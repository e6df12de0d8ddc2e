// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ocitest starts a real OCI registry for integration tests, and pushes
// to it. Only tests import it.
package ocitest

import (
	"testing"

	"github.com/kuda-io/kuda/internal/storagetest"
)

// Registry is a running registry, which speaks plain HTTP.
type Registry struct {
	// Addr is host:port.
	Addr string `json:"address"`
	// User and Password, with auth=true.
	User     string `json:"user"`
	Password string `json:"password"`
}

// Start starts a registry with settings of the form name=value; it ends with the
// test.
func Start(t testing.TB, settings ...string) *Registry {
	t.Helper()
	r := &Registry{}
	storagetest.Start(t, "registry", r, settings...)
	return r
}
