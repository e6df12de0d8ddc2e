// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kuda-io/kuda/internal/source"
)

// files are those of a source that a proxy has.
type files struct{ source.Cacheable }

func (files) Request(ctx context.Context, e source.Entry) (*http.Request, error) {
	return http.NewRequestWithContext(ctx, http.MethodGet, "http://files.example/"+e.Key, nil)
}

// openThrough opens the second half of a file of 10 bytes through a proxy.
func openThrough(t *testing.T, answer http.HandlerFunc) (string, error) {
	t.Helper()
	server := httptest.NewServer(answer)
	defer server.Close()
	p, err := NewProxy(server.URL, files{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	body, err := p.Open(t.Context(), source.Entry{Key: "a", Size: 10}, 5, 5)
	if err != nil {
		return "", err
	}
	defer body.Close()
	content, err := io.ReadAll(body)
	return string(content), err
}

func TestAnswersOfAProxyThatAreNotTheRangeAreRefused(t *testing.T) {
	partial := func(contentRange, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", contentRange)
			w.WriteHeader(http.StatusPartialContent)
			fmt.Fprint(w, body)
		}
	}
	if got, err := openThrough(t, partial("bytes 5-9/10", "56789")); got != "56789" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		reason string
	}{
		"another range":   {partial("bytes 0-4/10", "01234"), ReasonStale},
		"of another size": {partial("bytes 5-9/11", "56789"), ReasonStale},
		"the whole file":  {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "0123456789") }, ReasonFailed},
		"somewhere else": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
		},
			ReasonFailed},
		"endless headers": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Much", strings.Repeat("x", 4*maxHeaderBytes))
			partial("bytes 5-9/10", "56789")(w, r)
		}, ReasonFailed},
	} {
		_, err := openThrough(t, c.answer)
		if failed, ok := errors.AsType[*Error](err); !ok || failed.Reason != c.reason || len(err.Error()) > 1000 {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for name, body := range map[string]string{"too few": "567", "too many": "56789 and more"} {
		answer := func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes 5-9/10")
			w.Header().Set("Transfer-Encoding", "chunked")
			w.WriteHeader(http.StatusPartialContent)
			fmt.Fprint(w, body)
		}
		if got, err := openThrough(t, answer); err == nil || len(got) > 5 {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}
