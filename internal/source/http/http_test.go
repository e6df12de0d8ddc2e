// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package http

import (
	"compress/gzip"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	nethttp "net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
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

func TestEveryKindOfCredentialsIsSentAsMeant(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  string // header, a space, query
	}{
		"token":            {map[string]string{"token": "t\n"}, "Bearer t "},
		"password":         {map[string]string{"username": "u", "password": "p"}, "Basic dTpw "},
		"header":           {map[string]string{"header": "authorization: Custom a:b\n", "token": "unused"}, "Custom a:b "},
		"query":            {map[string]string{"query": "?sig=a%2Fb&x=1"}, " sig=a%2Fb&x=1"},
		"query and header": {map[string]string{"query": "sig=1", "header": "Authorization: H"}, "H sig=1"},
	} {
		t.Run(name, func(t *testing.T) {
			got := make(chan string, 10)
			server := handler(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
				got <- r.Header.Get("Authorization") + " " + r.URL.RawQuery
				w.Header().Set("Accept-Ranges", "bytes")
				w.Header().Set("Content-Length", "3")
			})
			if _, err := first(t.Context(), open(t, Config{URL: server, Credentials: secret(t, c.files)}), "file"); err != nil {
				t.Fatal(err)
			}
			if header := <-got; header != c.want {
				t.Errorf("the server got %q, want %q", header, c.want)
			}
		})
	}
}

func TestBadCredentialsAreNamedAndNotQuoted(t *testing.T) {
	asked := 0
	server := handler(t, func(nethttp.ResponseWriter, *nethttp.Request) { asked++ })
	for _, files := range []map[string]string{
		{}, {"header": "hidden"}, {"header": "na me: hidden"}, {"header": "X:"}, {"header": "X: hid\nY: hidden"}, {"header": "Range: hidden"},
		{"username": "hidden"},
	} {
		_, err := first(t.Context(), open(t, Config{URL: server, Credentials: secret(t, files)}), "file")
		if !errors.Is(err, source.ErrCredentials) || !strings.Contains(err.Error(), `Secret "web"`) || strings.Contains(err.Error(), "hid") {
			t.Errorf("%q: got %v", files, err)
		}
	}
	if asked > 0 {
		t.Errorf("the server was asked %d times", asked)
	}
}

func secret(t *testing.T, files map[string]string) *source.Mount {
	t.Helper()
	dir := t.TempDir()
	for name, value := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &source.Mount{Dir: dir, Name: `Secret "web"`}
}

func TestUnsafeRedirectsAreRefused(t *testing.T) {
	plain := handler(t, func(nethttp.ResponseWriter, *nethttp.Request) { t.Error("the plain server was asked") })
	server := httptest.NewTLSServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		if strings.HasSuffix(r.URL.Path, "loop") {
			nethttp.Redirect(w, r, r.URL.Path, nethttp.StatusFound)
			return
		}
		nethttp.Redirect(w, r, plain, nethttp.StatusFound)
	}))
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.crt")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, Config{URL: server.URL, CAFile: ca})
	for _, path := range []string{"downgrade", "loop"} {
		if _, err := first(t.Context(), s, path); !errors.Is(err, source.ErrMisconfigured) || !strings.Contains(err.Error(), "redirects") {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

func TestUrlsThatCarrySecretsAreRefused(t *testing.T) {
	for _, url := range []string{"http://u:hidden@host/", "http://host/?sig=hidden", "ftp://host/", "host:80", ""} {
		if _, err := New(Config{URL: url}); !errors.Is(err, source.ErrMisconfigured) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: got %v", url, err)
		}
	}
}

// A tree must not take the time of as many round trips as it has files.
func TestFilesOfATreeAreAskedForTogether(t *testing.T) {
	server := sourcetest.NewServer(t)
	for i := range heads {
		server.Put(fmt.Sprintf("tree/%d", i), []byte("x"))
	}
	var waiting sync.WaitGroup
	waiting.Add(heads)
	server.Misbehave(sourcetest.Manners{}, func(w nethttp.ResponseWriter, r *nethttp.Request) bool {
		if r.Method == nethttp.MethodHead {
			waiting.Done()
			waiting.Wait() // none is answered before all are asked for
		}
		return false
	})
	count := 0
	for _, err := range open(t, Config{URL: server.URL}).List(t.Context(), "tree/") {
		if err != nil {
			t.Fatal(err)
		}
		count++
	}
	if count != heads {
		t.Errorf("%d files are listed", count)
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

func TestResponsesThatContradictTheListingAreRefused(t *testing.T) {
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

func TestInvalidIndexesAreRefused(t *testing.T) {
	server := sourcetest.NewServer(t)
	for content, class := range map[string]error{
		"not an index\n":               source.ErrMisconfigured,
		"<html>not an index</html>\n":  source.ErrTemporary,
		`{"message": "try again"}`:     source.ErrTemporary,
		"":                             source.ErrTemporary,
		"\n\n":                         source.ErrTemporary,
		strings.Repeat("0", 64) + "  ": source.ErrMisconfigured,
	} {
		server.Put("tree/SHA256SUMS", []byte(content))
		if _, err := first(t.Context(), open(t, Config{URL: server.URL}), "tree/"); !errors.Is(err, class) {
			t.Errorf("%q: got %v", content, err)
		}
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
