//go:build integration

// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
	"github.com/kuda-io/kuda/internal/delivery/view"
	"github.com/kuda-io/kuda/internal/source"
)

// fault is a way in which a server misbehaves. It reports whether it replied.
type fault func(w http.ResponseWriter, r *http.Request, c content) bool

// some lets a fault happen to every nth request for bytes.
func some(n int64, f fault) fault {
	var asked atomic.Int64
	return func(w http.ResponseWriter, r *http.Request, c content) bool {
		return r.Method == http.MethodGet && asked.Add(1)%n == 0 && f(w, r, c)
	}
}

// cut breaks the connection in the middle of a body.
func cut(w http.ResponseWriter, r *http.Request, c content) bool {
	serve(&short{ResponseWriter: w, left: c.size / 9}, r, c)
	panic(http.ErrAbortHandler)
}

// stall sends a part of a body and then nothing until the client has enough.
func stall(w http.ResponseWriter, r *http.Request, c content) bool {
	serve(&short{ResponseWriter: w, left: c.size / 9}, r, c)
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
	panic(http.ErrAbortHandler)
}

// throttle asks for patience.
func throttle(w http.ResponseWriter, _ *http.Request, _ content) bool {
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(http.StatusServiceUnavailable)
	return true
}

// truncate ends a body early as if it were complete.
func truncate(w http.ResponseWriter, r *http.Request, c content) bool {
	half := c
	half.size = c.size / 2
	w.Header().Set("ETag", c.tag())
	serveHalf(w, r, half)
	return true
}

// serveHalf returns a range with a part of it, under a length that fits.
func serveHalf(w http.ResponseWriter, r *http.Request, half content) {
	w.Header().Set("Content-Length", strconv.FormatInt(half.size/16, 10))
	if r.Header.Get("Range") != "" {
		var from int64
		_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, from+half.size/16-1, half.size*2))
		w.WriteHeader(http.StatusPartialContent)
	}
	_, _ = io.CopyN(w, half.reader(), half.size/16)
}

// corrupt changes one byte of a body.
func corrupt(w http.ResponseWriter, r *http.Request, c content) bool {
	serve(&flip{ResponseWriter: w}, r, c)
	return true
}

// short drops what is behind the first bytes of a body.
type short struct {
	http.ResponseWriter
	left int64
}

func (s *short) Write(p []byte) (int, error) {
	n := min(int64(len(p)), s.left)
	s.left -= n
	if _, err := s.ResponseWriter.Write(p[:n]); err != nil {
		return 0, err
	}
	if s.left == 0 {
		return int(n), io.ErrShortWrite
	}
	return len(p), nil
}

// flip changes the first byte that goes through it.
type flip struct {
	http.ResponseWriter
	done bool
}

func (f *flip) Write(p []byte) (int, error) {
	if !f.done && len(p) > 0 {
		f.done = true
		p = append([]byte{^p[0]}, p[1:]...)
	}
	return f.ResponseWriter.Write(p)
}

// place is a runtime in this process, with a server and a judge.
type place struct {
	*runtime
	server *server
	judge  *judge
}

func newPlace(t *testing.T, d data) *place {
	t.Helper()
	s := newServer(t, d)
	root := t.TempDir()
	st, err := store.Open(store.Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	v, err := view.Open(viewDir(root), view.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	r := &runtime{victim: victim{Root: root, URL: s.url}, store: st, view: v, engine: newEngine(st)}
	t.Cleanup(func() {
		for _, l := range r.leases {
			_ = l.Close()
		}
	})
	return &place{runtime: r, server: s, judge: newJudge(s, root)}
}

// settled fails unless all that can be served is right, and the view is at a version.
func (p *place) settled(t *testing.T, version int) {
	t.Helper()
	p.judge.snapshots(t)
	if now := p.judge.view(t); now != version {
		t.Errorf("the view is at version %d instead of %d", now, version)
	}
}

// What a server does wrong for a while is got over, without a wrong byte.
func TestFaultsThatPassAreGotOver(t *testing.T) {
	for name, f := range map[string]fault{
		"cut":      some(6, cut),
		"stall":    some(10, stall),
		"throttle": some(12, throttle),
		"short":    some(6, truncate),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, data{large: 64 << 20, files: 100})
			if err := p.bring(1); err != nil {
				t.Fatal(err)
			}
			var faults atomic.Int64
			p.server.misbehave(func(w http.ResponseWriter, r *http.Request, c content) bool {
				return f(&noted{w, &faults}, r, c)
			})
			err := p.bring(2)
			for tries := 0; err != nil && tries < 20; tries++ {
				p.settled(t, 1)
				err = p.bring(2) // as the agent does
			}
			if err != nil {
				t.Fatal(err)
			}
			p.settled(t, 2)
			if faults.Load() == 0 {
				t.Error("nothing went wrong; the test shows nothing")
			}
		})
	}
}

// noted counts the faults that touch the answer.
type noted struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (n *noted) Header() http.Header {
	n.n.Add(1)
	return n.ResponseWriter.Header()
}

func (n *noted) Unwrap() http.ResponseWriter { return n.ResponseWriter }

// An object that is replaced while it is read is delivered as it is then, as a
// whole, never spliced from both.
func TestAnObjectThatChangesInTheMiddleIsNotSpliced(t *testing.T) {
	p := newPlace(t, data{large: 128 << 20, files: 10})
	if err := p.bring(1); err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	after := p.server.largeFile(3)
	p.server.misbehave(func(w http.ResponseWriter, r *http.Request, c content) bool {
		if c != p.server.largeFile(2) || (r.Method == http.MethodGet && asked.Add(1) < 4) || asked.Load() < 4 {
			return false
		}
		serve(w, r, after)
		return true
	})
	src, err := openSource(p.URL, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = src.Close() }()
	l, err := p.deliver(src, key("large", 2))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if err := after.compare(filepath.Join(l.Dir(), snapshot.FileName)); err != nil {
		t.Error(err)
	}
}

// A wrong byte is found where the source or the user promised the right ones:
// nothing of it gets into a snapshot or under the view.
func TestAWrongByteNeverGetsUnderTheView(t *testing.T) {
	t.Run("promised by the source", func(t *testing.T) {
		p := newPlace(t, data{large: 1 << 20, files: 50})
		if err := p.bring(1); err != nil {
			t.Fatal(err)
		}
		p.server.misbehave(func(w http.ResponseWriter, r *http.Request, c content) bool {
			return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/tree/") && c.size > 0 && corrupt(w, r, c)
		})
		err := p.bring(2)
		if _, ok := errors.AsType[*transfer.DigestMismatchError](err); !ok {
			t.Fatalf("got %v", err)
		}
		p.settled(t, 1)
		p.server.misbehave(nil)
		if err := p.bring(2); err != nil {
			t.Fatal(err)
		}
		p.settled(t, 2)
	})
	t.Run("promised by the user", func(t *testing.T) {
		p := newPlace(t, data{large: 40 << 20, files: 1})
		h := sha256.New()
		if _, err := io.Copy(h, p.server.largeFile(1).reader()); err != nil {
			t.Fatal(err)
		}
		k := key("large", 1)
		k.Digest = fmt.Sprintf("sha256:%x", h.Sum(nil))
		p.server.misbehave(some(2, corrupt))
		src, err := openSource(p.URL, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = src.Close() }()
		_, err = p.deliver(src, k)
		if _, ok := errors.AsType[*transfer.DigestMismatchError](err); !ok {
			t.Fatalf("got %v", err)
		}
		if _, err := p.store.Lease(k.ID()); !errors.Is(err, store.ErrNotStored) {
			t.Errorf("the wrong bytes: %v", err)
		}
		p.server.misbehave(nil)
		l, err := p.deliver(src, k)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		if err := p.server.largeFile(1).compare(filepath.Join(l.Dir(), snapshot.FileName)); err != nil {
			t.Error(err)
		}
	})
}

// A tree that a version leaves out of the source is an error that keeps the view.
func TestAMissingVersionKeepsTheView(t *testing.T) {
	p := newPlace(t, data{large: 1 << 20, files: 3})
	if err := p.bring(1); err != nil {
		t.Fatal(err)
	}
	p.server.misbehave(func(w http.ResponseWriter, r *http.Request, _ content) bool {
		http.NotFound(w, r)
		return true
	})
	if err := p.bring(2); !errors.Is(err, source.ErrNotFound) {
		t.Fatalf("got %v", err)
	}
	p.settled(t, 1)
	if _, err := os.Stat(filepath.Join(viewDir(p.Root), "large")); err != nil {
		t.Error(err)
	}
}
