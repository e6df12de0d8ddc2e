// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package http

import (
	nethttp "net/http"
	"strings"
	"testing"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/sourcetest"
)

func TestContract(t *testing.T) {
	server := sourcetest.NewServer(t)
	denying := sourcetest.NewServer(t)
	denying.Misbehave(sourcetest.Manners{}, func(w nethttp.ResponseWriter, r *nethttp.Request) bool {
		w.WriteHeader(nethttp.StatusUnauthorized)
		return true
	})
	open := func(t *testing.T, addr string) source.Source { return open(t, Config{URL: "http://" + addr}) }
	sourcetest.Run(t, sourcetest.Harness{
		Addr:       strings.TrimPrefix(server.URL, "http://"),
		Open:       open,
		OpenDenied: func(t *testing.T) source.Source { return open(t, strings.TrimPrefix(denying.URL, "http://")) },
		Put:        func(t *testing.T, path string, content []byte) { server.Put(path, content) },
		Delete:     func(t *testing.T, path string) { server.Delete(path) },
		PutHostile: func(t *testing.T, path string, content []byte) bool {
			server.Put(path, content)
			return !strings.Contains(path, "/./") // sha256sum's own way to write a plain name
		},
		HTTP: true,
	})
}

func open(t *testing.T, c Config) *Source {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
