// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

func TestEveryViewIsThePageAndFilesHaveTheirNames(t *testing.T) {
	dist := fstest.MapFS{"index.html": {Data: []byte("the page")}, "assets/a.js": {Data: []byte("script")},
		"icon.svg": {Data: []byte("<svg/>")}}
	for path, want := range map[string]struct {
		status int
		body   string
	}{
		"/":                        {http.StatusOK, "the page"},
		"/index.html":              {http.StatusOK, "the page"},
		"/datasets/shop/models":    {http.StatusOK, "the page"},
		"/assets/a.js":             {http.StatusOK, "script"},
		"/icon.svg":                {http.StatusOK, "<svg/>"},
		"/assets/gone.js":          {http.StatusNotFound, ""},
		"/assets/":                 {http.StatusOK, "the page"},
		"/../../../../etc/passwd":  {http.StatusOK, "the page"},
		"/assets/../../etc/passwd": {http.StatusOK, "the page"},
	} {
		w := httptest.NewRecorder()
		Handler(dist).ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != want.status || !strings.Contains(w.Body.String(), want.body) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestWithoutThePageTheProgramSaysHowToBuildIt(t *testing.T) {
	w := httptest.NewRecorder()
	Handler(nil).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusNotImplemented || !strings.Contains(w.Body.String(), "make web") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
