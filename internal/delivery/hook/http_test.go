// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hook_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/kuda-io/kuda/internal/delivery/hook"
)

func port(t *testing.T, s *httptest.Server) int {
	t.Helper()
	return s.Listener.Addr().(*net.TCPAddr).Port
}

func TestHTTPGetTakesTheStatusAsTheOutcome(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "app.example" || r.Header.Get("X-Kuda") != "yes" || r.URL.Query().Get("a") != "1" {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		case "/broken":
			http.Error(w, "cannot load", http.StatusInternalServerError)
		}
	})
	plain, tls := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer tls.Close()
	headers := http.Header{"Host": {"app.example"}, "X-Kuda": {"yes"}}
	for _, tt := range []struct {
		path string
		want string
		ok   bool
	}{{"reload?a=1", "", true}, {"/moved?a=1", "", true}, {"/broken?a=1", "cannot load", false}, {"/reload", "", false}} {
		for _, s := range []*httptest.Server{plain, tls} {
			g := &hook.HTTPGet{Port: port(t, s), Path: tt.path, TLS: s == tls, Headers: headers}
			out, err := g.Run(t.Context())
			if (err == nil) != tt.ok || !tt.ok && out != tt.want {
				t.Errorf("%s (TLS %t): got %q, %v", tt.path, s == tls, out, err)
			}
		}
	}
}

func TestHTTPGetTellsAMissingListenerFromAFailure(t *testing.T) {
	s := httptest.NewServer(nil)
	p := port(t, s)
	s.Close()
	if _, err := (&hook.HTTPGet{Port: p}).Run(t.Context()); !errors.Is(err, hook.ErrNotListening) {
		t.Errorf("got %v", err)
	}
}

func TestHTTPGetNeverLeavesLocalhost(t *testing.T) {
	reached := false
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer s.Close()
	for _, p := range []string{"//192.0.2.1/x", "@192.0.2.1/", "/x#@192.0.2.1"} {
		reached = false
		g := &hook.HTTPGet{Port: port(t, s), Path: p, Headers: http.Header{"Host": {"192.0.2.1"}}}
		if _, err := g.Run(t.Context()); err != nil || !reached {
			t.Errorf("path %q: went elsewhere, or %v", p, err)
		}
	}
}
