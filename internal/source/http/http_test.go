// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package http

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	nethttp "net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/sourcetest"
)

// first returns the first entry and error of a listing.
func first(ctx context.Context, s *Source, path string) (source.Entry, error) {
	for entry, err := range s.List(ctx, path) {
		return entry, err
	}
	return source.Entry{}, errors.New("the listing is empty")
}

func handler(t *testing.T, h nethttp.HandlerFunc) string {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

func TestCredentialsNeverGoToAnotherHost(t *testing.T) {
	leaked := make(chan string, 10)
	other := handler(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		leaked <- r.Header.Get("Authorization")
		w.Header().Set("Accept-Ranges", "bytes")
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Content-Length", "3")
	})
	got := make(chan string, 10)
	server := handler(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		got <- r.Header.Get("Authorization")
		nethttp.Redirect(w, r, strings.Replace(other, "127.0.0.1", "localhost", 1)+"/x", nethttp.StatusFound)
	})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("hidden\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, Config{URL: server, Credentials: &source.Mount{Dir: dir, Name: "the Secret"}})
	if _, err := first(t.Context(), s, "file"); err != nil {
		t.Fatal(err)
	}
	if header := <-got; header != "Bearer hidden" {
		t.Errorf("the server got %q", header)
	}
	if header := <-leaked; header != "" {
		t.Errorf("another host got %q", header)
	}
}

func TestChangedCredentialsAreReadAgain(t *testing.T) {
	got := make(chan string, 10)
	server := handler(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		user, password, _ := r.BasicAuth()
		got <- user + ":" + password
		w.Header().Set("Accept-Ranges", "bytes")
		w.Header().Set("Content-Length", "3")
	})
	dir := t.TempDir()
	s := open(t, Config{URL: server, Credentials: &source.Mount{Dir: dir, Name: `Secret "web"`}})
	_, err := first(t.Context(), s, "file")
	if !errors.Is(err, source.ErrCredentials) || !strings.Contains(err.Error(), `Secret "web"`) {
		t.Errorf("without files got %v", err)
	}
	for _, password := range []string{"one", "two"} {
		for name, value := range map[string]string{"username": "u", "password": password} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := first(t.Context(), s, "file"); err != nil {
			t.Fatal(err)
		}
		if header := <-got; header != "u:"+password {
			t.Errorf("the server got %q", header)
		}
	}
}

func TestCompressedBytesAreRefused(t *testing.T) {
	server := handler(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		fmt.Fprint(z, "text")
		if err := z.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := first(t.Context(), open(t, Config{URL: server}), "file"); !errors.Is(err, source.ErrMisconfigured) {
		t.Errorf("got %v", err)
	}
}

func TestAnswersThatDoNotFitTheListingAreRefused(t *testing.T) {
	for name, answer := range map[string]func(w nethttp.ResponseWriter){
		"another tag": func(w nethttp.ResponseWriter) {
			w.Header().Set("ETag", `"2"`)
			fmt.Fprint(w, "0123456789")
		},
		"another length": func(w nethttp.ResponseWriter) {
			w.Header().Set("ETag", `"1"`)
			fmt.Fprint(w, "012345678")
		},
		"too long without a length": func(w nethttp.ResponseWriter) {
			w.Header().Set("ETag", `"1"`)
			w.(nethttp.Flusher).Flush()
			fmt.Fprint(w, "0123456789 and more")
		},
		"another range": func(w nethttp.ResponseWriter) {
			w.Header().Set("ETag", `"1"`)
			w.Header().Set("Content-Range", "bytes 1-10/11")
			w.WriteHeader(nethttp.StatusPartialContent)
			fmt.Fprint(w, "0123456789")
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := handler(t, func(w nethttp.ResponseWriter, r *nethttp.Request) { answer(w) })
			s := open(t, Config{URL: server})
			body, err := s.Open(t.Context(), source.Entry{Key: "file", Size: 10, Identity: `"1"`}, 0, 10)
			if err == nil {
				_, err = io.ReadAll(body)
				body.Close()
			}
			if !errors.Is(err, source.ErrChanged) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestThrottlingCarriesItsPause(t *testing.T) {
	server := handler(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(nethttp.StatusServiceUnavailable)
	})
	_, err := first(t.Context(), open(t, Config{URL: server}), "file")
	if !errors.Is(err, source.ErrThrottled) || source.RetryAfter(err) != 7*time.Second {
		t.Errorf("got %v after %v", err, source.RetryAfter(err))
	}
}

func TestServersWithoutRangesAreReadAsAWhole(t *testing.T) {
	server := sourcetest.NewServer(t)
	server.Put("file", []byte("content"))
	server.Misbehave(sourcetest.Manners{NoRanges: true}, nil)
	entry, err := first(t.Context(), open(t, Config{URL: server.URL}), "file")
	if err != nil || !entry.NoRanges || entry.Size != 7 {
		t.Errorf("got %+v, %v", entry, err)
	}
}

func TestServersThatRefuseHeadAreAskedForAByte(t *testing.T) {
	server := sourcetest.NewServer(t)
	server.Put("file", []byte("content"))
	server.Put("empty", nil)
	server.Misbehave(sourcetest.Manners{}, func(w nethttp.ResponseWriter, r *nethttp.Request) bool {
		if r.Method == nethttp.MethodHead {
			w.WriteHeader(nethttp.StatusMethodNotAllowed)
			return true
		}
		return false
	})
	s := open(t, Config{URL: server.URL})
	for name, size := range map[string]int64{"file": 7, "empty": 0} {
		entry, err := first(t.Context(), s, name)
		if err != nil || entry.Size != size || !entry.Identity.Strong() {
			t.Errorf("%s: got %+v, %v", name, entry, err)
		}
	}
}

func TestUntrustedCertificatesAreNotRetried(t *testing.T) {
	server := httptest.NewTLSServer(nethttp.NotFoundHandler())
	t.Cleanup(server.Close)
	_, err := first(t.Context(), open(t, Config{URL: server.URL}), "file")
	if !errors.Is(err, source.ErrMisconfigured) {
		t.Errorf("got %v", err)
	}
}

func TestIndexesThatAreNoneAreRefused(t *testing.T) {
	server := sourcetest.NewServer(t)
	server.Put("tree/SHA256SUMS", []byte("<html>not an index</html>\n"))
	if _, err := first(t.Context(), open(t, Config{URL: server.URL}), "tree/"); !errors.Is(err, source.ErrMisconfigured) {
		t.Errorf("got %v", err)
	}
}

func TestHostileNamesOfAnIndexAreNotAskedFor(t *testing.T) {
	server := sourcetest.NewServer(t)
	server.Put("tree/SHA256SUMS", []byte(strings.Repeat("0", 64)+"  ../../etc/passwd\n"))
	server.Misbehave(sourcetest.Manners{}, func(w nethttp.ResponseWriter, r *nethttp.Request) bool {
		if strings.Contains(r.URL.Path, "passwd") {
			t.Errorf("the server was asked for %s", r.URL.Path)
		}
		return false
	})
	entry, err := first(t.Context(), open(t, Config{URL: server.URL}), "tree/")
	if err != nil || entry.Path != "../../etc/passwd" {
		t.Errorf("got %+v, %v", entry, err)
	}
}
