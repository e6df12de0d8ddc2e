// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestMeterCountsObjectsOnly(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "absent") {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = io.WriteString(w, strings.Repeat("x", 1000))
	}))
	defer server.Close()
	m, err := NewMeter("127.0.0.1:0", server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	for _, r := range []struct{ method, path string }{
		{http.MethodGet, "/bucket/tree/a"}, {http.MethodGet, "/bucket/tree/b"}, {http.MethodHead, "/bucket/tree/a"},
		{http.MethodGet, "/bucket/?list-type=2"}, {http.MethodGet, "/bucket/tree/absent"}, {http.MethodGet, "/other/tree/a"},
	} {
		request, err := http.NewRequestWithContext(t.Context(), r.method, m.URL()+r.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	for prefix, want := range map[string]int64{"/bucket/": 2000, "/bucket/tree/a": 1000, "/other/": 1000, "/absent/": 0} {
		if got := m.Read(prefix); got != want {
			t.Errorf("%s: %d bytes read, want %d", prefix, got, want)
		}
	}
}
