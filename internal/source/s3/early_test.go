// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/source"
)

// together answers as long as no request has to wait for the answer to another one.
type together struct {
	mu      sync.Mutex
	waiting int
	all     chan struct{}
	want    int
}

func newTogether(want int) *together { return &together{want: want, all: make(chan struct{})} }

// meetOthers returns once so many requests are there, and reports whether they came.
func (g *together) meetOthers() bool {
	g.mu.Lock()
	if g.waiting++; g.waiting == g.want {
		close(g.all)
	}
	g.mu.Unlock()
	select {
	case <-g.all:
		return true
	case <-time.After(10 * time.Second):
		return false
	}
}

// serveObject sends one object.
func serveObject(w http.ResponseWriter, r *http.Request, tag, content string) {
	w.Header().Set("ETag", `"`+tag+`"`)
	w.Header().Set("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
	http.ServeContent(w, r, "", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), strings.NewReader(content))
}

func TestASmallObjectTakesOneWaitForTheService(t *testing.T) {
	g := newTogether(3)
	s := fake(t, func(w http.ResponseWriter, r *http.Request) {
		if !g.meetOthers() {
			t.Error("a request came after the answer to another one")
		}
		if r.URL.Query().Has("list-type") {
			page(w, "")
			return
		}
		serveObject(w, r, "e", "content")
	})
	entries, err := collect(t, s, "dir/file")
	if err != nil || len(entries) != 1 {
		t.Fatalf("got %v, %v", entries, err)
	}
	body, err := s.Open(t.Context(), entries[0], 0, entries[0].Size)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if got, err := io.ReadAll(body); err != nil || string(got) != "content" {
		t.Errorf("got %q, %v", got, err)
	}
	if g.waiting != 3 {
		t.Errorf("there were %d requests", g.waiting)
	}
}

func TestATreeWithoutASlashTakesOneWaitForTheService(t *testing.T) {
	g := newTogether(3)
	s := fake(t, func(w http.ResponseWriter, r *http.Request) {
		if !g.meetOthers() {
			t.Error("a request came after the answer to another one")
		}
		if r.URL.Query().Has("list-type") {
			page(w, "", "dir/a", "dir/b")
			return
		}
		http.NotFound(w, r)
	})
	entries, err := collect(t, s, "dir")
	if err != nil || len(entries) != 2 || entries[1].Path != "b" {
		t.Errorf("got %v, %v", entries, err)
	}
}

func TestALimitedSourceIsAskedOneAfterTheOther(t *testing.T) {
	var mu sync.Mutex
	open, most := 0, 0
	s := fake(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		open++
		most = max(most, open)
		mu.Unlock()
		defer func() {
			mu.Lock()
			open--
			mu.Unlock()
		}()
		if r.URL.Query().Has("list-type") {
			page(w, "", "dir/a")
			return
		}
		http.NotFound(w, r)
	})
	for _, err := range s.List(source.OneAtATime(t.Context()), "dir") {
		if err != nil {
			t.Fatal(err)
		}
	}
	if most != 1 {
		t.Errorf("%d requests were under way at once", most)
	}
}

// What came with the head is used only if it is what the head says.
func TestContentOfAnotherStateIsNotUsed(t *testing.T) {
	for name, begin := range map[string]func(w http.ResponseWriter, r *http.Request){
		"another state":  func(w http.ResponseWriter, r *http.Request) { serveObject(w, r, "later", "contents") },
		"another length": func(w http.ResponseWriter, r *http.Request) { serveObject(w, r, "e", "content and more") },
		"refused":        func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"throttled":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"e"`)
			w.Header().Set("Content-Length", "7")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = io.WriteString(w, "con")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := fake(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Query().Has("list-type"):
					page(w, "")
				case r.Header.Get("Range") == fmt.Sprintf("bytes=0-%d", earlyBytes-1):
					begin(w, r)
				default:
					serveObject(w, r, "e", "content")
				}
			})
			entries, err := collect(t, s, "file")
			if err != nil || len(entries) != 1 {
				t.Fatalf("got %v, %v", entries, err)
			}
			body, err := s.Open(t.Context(), entries[0], 0, entries[0].Size)
			if err != nil {
				t.Fatal(err)
			}
			defer body.Close()
			if got, err := io.ReadAll(body); err != nil || string(got) != "content" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestTheReasonOfAFailedHeadIsNotHiddenByTheListing(t *testing.T) {
	s := fake(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("list-type") {
			page(w, "", "dir/a")
			return
		}
		w.WriteHeader(http.StatusForbidden)
	})
	if _, err := collect(t, s, "dir"); !errors.Is(err, source.ErrDenied) {
		t.Errorf("got %v", err)
	}
}

func TestEarlyContentIsUsedOnceAndNotForLong(t *testing.T) {
	now := time.Now()
	entry := source.Entry{Key: "k", Size: 3, Identity: `"e"`}
	kept := earlyObject{identity: `"e"`, content: []byte("abc"), at: now}
	for name, test := range map[string]struct {
		entry source.Entry
		after time.Duration
		want  bool
	}{
		"at once":           {entry, 0, true},
		"too late":          {entry, earlyLife + 1, false},
		"of another key":    {source.Entry{Key: "other", Size: 3, Identity: `"e"`}, 0, false},
		"of another state":  {source.Entry{Key: "k", Size: 3, Identity: `"f"`}, 0, false},
		"of another time":   {source.Entry{Key: "k", Size: 3, Identity: `"e"`, Modified: now}, 0, false},
		"of another length": {source.Entry{Key: "k", Size: 4, Identity: `"e"`}, 0, false},
	} {
		var e early
		e.keepObject("k", kept)
		if _, got := e.takeObject(test.entry, now.Add(test.after)); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
		if _, again := e.takeObject(entry, now); test.want && again {
			t.Errorf("%s: it is there a second time", name)
		}
	}
	var e early
	for i := range 10 * earlyObjects {
		e.keepObject(fmt.Sprint(i), kept)
	}
	if len(e.objects) > earlyObjects {
		t.Errorf("%d objects are kept", len(e.objects))
	}
}
