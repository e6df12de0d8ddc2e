// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/source"
)

func (h Harness) runHTTP(t *testing.T) {
	t.Run("throttling carries its pause", h.throttled)
	t.Run("a server's error may pass", h.failing)
	t.Run("answers that lie are never believed", h.lies)
}

func (h Harness) throttled(t *testing.T) {
	h.Put(t, "throttled/file", pattern(100_000, 1))
	proxy := NewProxy(t, h.Addr)
	for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		proxy.Pass()
		s := h.Open(t, proxy.Addr)
		entry := h.one(t, s, "throttled/file")
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

func (h Harness) failing(t *testing.T) {
	h.Put(t, "failing/file", pattern(100_000, 1))
	proxy := NewProxy(t, h.Addr)
	for _, status := range []int{http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout} {
		proxy.Pass()
		s := h.Open(t, proxy.Addr)
		entry := h.one(t, s, "failing/file")
		proxy.Answer(func(w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(status)
			return true
		})
		isOneOf(t, fmt.Sprintf("%d, listing", status), h.listError(t.Context(), s, "failing/"), source.ErrTemporary, source.ErrThrottled)
		_, err := tryRead(t.Context(), s, entry, 0, entry.Size)
		isOneOf(t, fmt.Sprintf("%d, reading", status), err, source.ErrTemporary, source.ErrThrottled)
	}
}

// lies are ways in which an answer with a body differs from what was asked for.
var lies = map[string]struct {
	ask    func(r *http.Request)
	answer func(r *http.Response)
}{
	"a length that is too long":  {answer: func(r *http.Response) { stretch(r, 7) }},
	"a length that is too short": {answer: func(r *http.Response) { stretch(r, -7) }},
	"the range ignored":          {ask: func(r *http.Request) { r.Header.Del("Range") }},
	"another range":              {ask: func(r *http.Request) { shift(r.Header) }},
	"another range, hidden": {
		ask:    func(r *http.Request) { shift(r.Header) },
		answer: func(r *http.Response) { r.Header.Del("Content-Range") },
	},
	"a range of another file": {answer: func(r *http.Response) {
		if value := r.Header.Get("Content-Range"); value != "" {
			r.Header.Set("Content-Range", value+"0")
		}
	}},
}

// stretch makes an answer claim a longer body, or a shorter one.
func stretch(r *http.Response, by int64) {
	if r.ContentLength > 100 {
		r.Header.Set("Content-Length", strconv.FormatInt(r.ContentLength+by, 10))
	}
}

// shift makes a request ask for a range that begins a byte later.
func shift(h http.Header) {
	var first, last int64
	if _, err := fmt.Sscanf(h.Get("Range"), "bytes=%d-%d", &first, &last); err == nil {
		h.Set("Range", fmt.Sprintf("bytes=%d-%d", first+1, last+1))
	}
}

func (h Harness) lies(t *testing.T) {
	const size = 300_000
	content := pattern(size, 1)
	h.Put(t, "lies/file", content)
	proxy := NewProxy(t, h.Addr)
	for name, lie := range lies {
		proxy.Pass()
		s := h.Open(t, proxy.Addr)
		entry := h.one(t, s, "lies/file")
		proxy.Change(lie.ask, lie.answer)
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
	}
}
