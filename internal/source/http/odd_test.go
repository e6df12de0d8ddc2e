// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package http

import (
	"errors"
	"fmt"
	nethttp "net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/sourcetest"
)

// credentials makes a Secret of keys and values.
func credentials(t testing.TB, keysAndValues ...string) *source.Mount {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(keysAndValues); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, keysAndValues[i]), []byte(keysAndValues[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &source.Mount{Dir: dir, Name: "the Secret"}
}

// A ticket that the server gives by a redirect is not overwritten by the query
// that lets one in.
func TestTheQueryOfTheSecretIsForTheConfiguredAddressOnly(t *testing.T) {
	var mu sync.Mutex
	var queries []string
	server := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		mu.Lock()
		queries = append(queries, r.URL.RawQuery)
		mu.Unlock()
		if r.URL.RawQuery == "sig=S3CRET" {
			nethttp.Redirect(w, r, "/f?ticket=1", nethttp.StatusFound)
			return
		}
		w.Header().Set("ETag", "\"1\"")
		w.Header().Set("Accept-Ranges", "bytes")
		w.Header().Set("Content-Length", "5")
	}))
	t.Cleanup(server.Close)
	s := open(t, Config{URL: server.URL, Credentials: credentials(t, "query", "sig=S3CRET")})
	entry, err := first(t.Context(), s, "f")
	if err != nil || entry.Size != 5 {
		t.Errorf("got %+v, %v", entry, err)
	}
	if len(queries) != 2 || queries[1] != "ticket=1" {
		t.Errorf("asked with %q", queries)
	}
}

func TestRedirectedRequestsHaveNoReferer(t *testing.T) {
	var mu sync.Mutex
	var referers []string
	last := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		mu.Lock()
		referers = append(referers, r.Referer())
		mu.Unlock()
		w.Header().Set("Content-Length", "5")
	}))
	t.Cleanup(last.Close)
	middle := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		nethttp.Redirect(w, r, last.URL+"/f", nethttp.StatusFound)
	}))
	t.Cleanup(middle.Close)
	begin := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		nethttp.Redirect(w, r, middle.URL+"/f?X-Amz-Signature=S3CRET", nethttp.StatusFound)
	}))
	t.Cleanup(begin.Close)
	if _, err := first(t.Context(), open(t, Config{URL: begin.URL}), "f"); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(referers, ""); len(referers) == 0 || got != "" {
		t.Errorf("%d requests said %q", len(referers), got)
	}
}

func TestAPageWhereAFileWasExpectedIsNoted(t *testing.T) {
	for name, want := range map[string]int{"model.bin": 1, "model": 1, "index.html": 0, "a.HTM": 0} {
		server := sourcetest.NewServer(t)
		server.Put(name, []byte("<html>please log in</html>"))
		server.Misbehave(sourcetest.Manners{}, func(w nethttp.ResponseWriter, r *nethttp.Request) bool {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			return false
		})
		var notes []string
		ctx := source.Observe(t.Context(), source.Observer{Note: func(text string) { notes = append(notes, text) }})
		if _, err := first(ctx, open(t, Config{URL: server.URL}), name); err != nil || len(notes) != want {
			t.Errorf("%s: noted %q, %v", name, notes, err)
		}
	}
}

// An answer without a length or chunks ends where the connection does, and half
// of an index looks like all of one.
func TestAnIndexThatDoesNotSayWhereItEndsIsNotTaken(t *testing.T) {
	server := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		conn, _, err := nethttp.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + strings.Repeat("0", 64) + "  a\n"))
	}))
	t.Cleanup(server.Close)
	if _, err := first(t.Context(), open(t, Config{URL: server.URL}), "tree/"); !source.Temporary(err) {
		t.Errorf("got %v", err)
	}
}

// Half a name may be another file's, and half a line says nothing of the index.
func TestAnIndexThatIsCutOffIsReadUpToThereAndNoFurther(t *testing.T) {
	sum := strings.Repeat("a", sumLength)
	index := sum + "  file-1\n" + sum + "  file-10\n"
	for cut := range index {
		server := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
			w.Header().Set("ETag", "\"1\"")
			if strings.HasSuffix(r.URL.Path, "/file-1") || strings.HasSuffix(r.URL.Path, "/file-10") {
				w.Header().Set("Content-Length", "5")
				return
			}
			if !strings.HasSuffix(r.URL.Path, Index) {
				w.WriteHeader(nethttp.StatusNotFound)
				return
			}
			w.Header().Set("Content-Length", strconv.Itoa(len(index)))
			_, _ = w.Write([]byte(index[:cut]))
			_ = nethttp.NewResponseController(w).Flush()
			panic(nethttp.ErrAbortHandler)
		}))
		names := map[string]int{}
		var last error
		for entry, err := range open(t, Config{URL: server.URL}).List(t.Context(), "tree/") {
			if last = err; err == nil {
				names[entry.Path]++
			}
		}
		server.Close()
		if whole := strings.Count(index[:cut], "\n"); !errors.Is(last, source.ErrTemporary) || len(names) != whole || names["file-1"] != whole {
			t.Errorf("after %d bytes: got %v and %v", cut, names, last)
		}
	}
}

// A network that loses one request of a hundred would end each listing of a
// thousand files.
func TestAListingOutlivesAHeadThatIsLost(t *testing.T) {
	for lost, want := range map[int32]error{1: nil, headTries - 1: nil, headTries: source.ErrTemporary} {
		server := sourcetest.NewServer(t)
		for i := range 20 {
			server.Put(fmt.Sprintf("tree/%d", i), []byte("x"))
		}
		var tries atomic.Int32
		server.Misbehave(sourcetest.Manners{}, func(w nethttp.ResponseWriter, r *nethttp.Request) bool {
			if r.Method != nethttp.MethodHead || !strings.HasSuffix(r.URL.Path, "/7") || tries.Add(1) > lost {
				return false
			}
			return loseResponse(t, w)
		})
		count, last := 0, error(nil)
		for _, err := range open(t, Config{URL: server.URL}).List(t.Context(), "tree/") {
			if last = err; err == nil {
				count++
			}
		}
		if !errors.Is(last, want) || (want == nil && count != 20) || tries.Load() > headTries {
			t.Errorf("%d heads were lost: %d files are listed, %v", lost, count, last)
		}
	}
}

// The head of an empty file takes three requests of a server that says nothing of its
// length. That one of them fails at each try must not end the listing.
func TestAListingOutlivesALossAtEachRequestForAHead(t *testing.T) {
	server := sourcetest.NewServer(t)
	server.Put("tree/empty", nil)
	var requests atomic.Int32
	server.Misbehave(sourcetest.Manners{}, func(w nethttp.ResponseWriter, r *nethttp.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/empty") {
			return false
		}
		if requests.Add(1)%3 == 0 {
			return loseResponse(t, w)
		}
		if r.Header.Get("Range") == "" {
			return false
		}
		w.WriteHeader(nethttp.StatusRequestedRangeNotSatisfiable)
		return true
	})
	entry, err := first(t.Context(), open(t, Config{URL: server.URL}), "tree/")
	if err != nil || entry.Path != "empty" || requests.Load() != 4 {
		t.Errorf("after %d requests: got %+v, %v", requests.Load(), entry, err)
	}
}

// loseResponse reports whether it could end the connection of a request within its
// response. Without a byte of that, the request would be sent again below the driver.
func loseResponse(t *testing.T, w nethttp.ResponseWriter) bool {
	conn, out, err := nethttp.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		return false
	}
	_, _ = out.WriteString("HTTP/1.1 200 OK\r\nContent-Le")
	_ = out.Flush()
	conn.Close()
	return true
}
