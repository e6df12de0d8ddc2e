// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/source"
)

// httpTests are the tests of what an HTTP server may answer.
type httpTests struct{ Harness }

func (h httpTests) runHTTP(t *testing.T) {
	t.Run("throttling carries its pause", h.testThrottling)
	t.Run("a server's error may pass", h.testServerErrors)
	t.Run("answers that lie are never believed", h.testLyingServer)
}

func (h httpTests) testThrottling(t *testing.T) {
	h.Put(t, "throttled/file", randomContent(100_000, 1))
	proxy := NewProxy(t, h.Addr)
	for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		proxy.Pass()
		s := h.Open(t, proxy.Addr)
		entry := h.listOneFile(t, s, "throttled/file")
		proxy.Answer(func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(status)
			return true
		})
		started := time.Now()
		for what, call := range map[string]func() error{
			"listing a file": func() error { return h.listError(t.Context(), s, "throttled/file") },
			"listing a tree": func() error { return h.listError(t.Context(), s, "throttled/") },
			"reading": func() error {
				_, err := tryRead(t.Context(), s, entry, 0, entry.Size)
				return err
			},
		} {
			err := call()
			what := fmt.Sprintf("%d, %s", status, what)
			isOneOf(t, what, err, source.ErrThrottled)
			if after := source.RetryAfter(err); after != 7*time.Second {
				t.Errorf("%s: the pause is %v", what, after)
			}
		}
		// It is the caller who waits.
		if took := time.Since(started); took >= 7*time.Second {
			t.Errorf("%d: the driver took %v", status, took)
		}
	}
}

func (h httpTests) testServerErrors(t *testing.T) {
	h.Put(t, "failing/file", randomContent(100_000, 1))
	proxy := NewProxy(t, h.Addr)
	for _, status := range []int{http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable,
		http.StatusGatewayTimeout} {
		proxy.Pass()
		s := h.Open(t, proxy.Addr)
		entry := h.listOneFile(t, s, "failing/file")
		proxy.Answer(func(w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(status)
			return true
		})
		isOneOf(t, fmt.Sprintf("%d, listing", status), h.listError(t.Context(), s, "failing/"), source.ErrTemporary, source.ErrThrottled)
		_, err := tryRead(t.Context(), s, entry, 0, entry.Size)
		isOneOf(t, fmt.Sprintf("%d, reading", status), err, source.ErrTemporary, source.ErrThrottled)
	}
}

// lies are what becomes of the answer to a request for the bytes of content from
// first to last. The request stays as it is: a signature may cover it.
var lies = map[string]func(r *http.Response, content []byte, first, last int64){
	"a length that is too long":  func(r *http.Response, _ []byte, _, _ int64) { changeLength(r, 7) },
	"a length that is too short": func(r *http.Response, _ []byte, _, _ int64) { changeLength(r, -7) },
	"the range ignored": func(r *http.Response, content []byte, _, _ int64) {
		r.StatusCode = http.StatusOK
		r.Header.Del("Content-Range")
		replaceBody(r, content)
	},
	"another range": func(r *http.Response, content []byte, first, last int64) {
		if last+1 < int64(len(content)) {
			r.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first+1, last+1, len(content)))
			replaceBody(r, content[first+1:last+2])
		}
	},
	"a shorter range": func(r *http.Response, content []byte, first, last int64) {
		r.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last-1, len(content)))
		replaceBody(r, content[first:last])
	},
	"a range of another file": func(r *http.Response, content []byte, first, last int64) {
		r.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(content)+1))
	},
}

// changeLength makes an answer claim a longer body, or a shorter one.
func changeLength(r *http.Response, by int64) {
	if r.ContentLength > 100 {
		r.Header.Set("Content-Length", strconv.FormatInt(r.ContentLength+by, 10))
	}
}

// replaceBody puts another body into an answer.
func replaceBody(r *http.Response, body []byte) {
	r.Body.Close()
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
}

// requestedRange tells which bytes of a file a request is for. Requests for other
// things than a body ask for none.
func requestedRange(r *http.Response, size int64) (first, last int64, ok bool) {
	value := r.Request.Header.Get("Range")
	if value == "" {
		return 0, size - 1, r.Request.Method == http.MethodGet && r.StatusCode == http.StatusOK && r.ContentLength == size
	}
	_, err := fmt.Sscanf(value, "bytes=%d-%d", &first, &last)
	return first, last, err == nil && first >= 0 && last < size && r.StatusCode == http.StatusPartialContent
}

func (h httpTests) testLyingServer(t *testing.T) {
	const size = 300_000
	content := randomContent(size, 1)
	h.Put(t, "lies/file", content)
	proxy := NewProxy(t, h.Addr)
	for name, lie := range lies {
		proxy.Pass()
		s := h.Open(t, proxy.Addr)
		entry := h.listOneFile(t, s, "lies/file")
		told := 0
		proxy.Change(func(r *http.Response) {
			if first, last, ok := requestedRange(r, size); ok {
				told++
				lie(r, content, first, last)
			}
		})
		for _, r := range [][2]int64{{0, size}, {1000, 50_000}, {size / 2, size / 2}} {
			if entry.NoRanges && r[1] != size {
				continue
			}
			want := content[r[0] : r[0]+r[1]]
			got, err := tryRead(t.Context(), s, entry, r[0], r[1])
			if err == nil {
				// The lie did not touch the bytes, or not this request.
				if !bytes.Equal(got, want) {
					t.Errorf("%s, range %v: wrong bytes without an error", name, r)
				}
				continue
			}
			isOneOf(t, fmt.Sprintf("%s, range %v", name, r), err, source.ErrChanged, source.ErrTemporary, source.ErrMisconfigured)
			if source.Temporary(err) && !bytes.HasPrefix(want, got) {
				t.Errorf("%s, range %v: wrong bytes before a temporary failure", name, r)
			}
		}
		if told == 0 {
			t.Errorf("%s: no request for the file was seen", name)
		}
	}
}
