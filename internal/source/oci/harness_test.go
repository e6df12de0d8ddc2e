// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"testing"

	"github.com/kuda-io/kuda/internal/source"
)

func open(t *testing.T, c Config) *Source {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// collect lists a path.
func collect(t *testing.T, s *Source, path string) (entries []source.Entry, err error) {
	t.Helper()
	for entry, err := range s.List(t.Context(), path) {
		if err != nil {
			return entries, err
		}
		entries = append(entries, entry)
	}
	return entries, nil
}
