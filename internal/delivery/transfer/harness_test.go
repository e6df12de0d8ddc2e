// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/source"
	sourcehttp "github.com/kuda-io/kuda/internal/source/http"
	"github.com/kuda-io/kuda/internal/source/sourcetest"
)

// bench is an engine with its store, and a server to read from.
type bench struct {
	server *sourcetest.Server
	source source.Source
	store  *store.Store
	engine *Engine
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{server: sourcetest.NewServer(t)}
	b.source = openSource(t, b.server.URL)
	b.store, b.engine = openEngine(t, t.TempDir())
	return b
}

func openSource(t *testing.T, url string) source.Source {
	t.Helper()
	s, err := sourcehttp.New(sourcehttp.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func openEngine(t *testing.T, root string) (*store.Store, *Engine) {
	t.Helper()
	s, err := store.Open(store.Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	e := New(Options{Store: s, Connections: 4, Attempts: 3})
	e.policy.Base, e.policy.Cap = time.Millisecond, 5*time.Millisecond
	return s, e
}

// key names version v of a path.
func (b *bench) key(path, version string) snapshot.Key {
	return snapshot.Key{Source: b.source.Identity(), Path: path, Version: version}
}

func (b *bench) deliver(ctx context.Context, key snapshot.Key) (*Result, error) {
	return b.engine.Deliver(ctx, NewRequest(b.source, key, nil))
}

// mustDeliver delivers and ends the lease with the test.
func (b *bench) mustDeliver(t *testing.T, key snapshot.Key) *Result {
	t.Helper()
	result, err := b.deliver(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeLease(t, result.Lease) })
	return result
}

// files reads a delivered tree.
func files(t *testing.T, lease *store.Lease) map[string]string {
	t.Helper()
	got := map[string]string{}
	err := filepath.WalkDir(lease.Dir(), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		name, _ := filepath.Rel(lease.Dir(), path)
		got[name] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// noise is content of which no two parts are alike.
func noise(seed uint32, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		seed = seed*1664525 + 1013904223
		b[i] = byte(seed >> 24)
	}
	return b
}

// putTree stores count small files, and a large one of three blocks.
func (b *bench) putTree(dir string, count int) map[string]string {
	want := map[string]string{}
	for i := range count {
		want[fmt.Sprintf("d%d/f%d", i%7, i)] = string(noise(uint32(i), i*37))
	}
	want["large"] = string(noise(77, 20<<20))
	for name, content := range want {
		b.server.Put(dir+name, []byte(content))
	}
	return want
}

// isBody reports whether a request is for the bytes of a file below a directory.
func isBody(r *http.Request) bool {
	return r.Method == http.MethodGet && !strings.HasSuffix(r.URL.Path, "SHA256SUMS")
}

// newCutter puts a proxy in front of the server.
func newCutter(t *testing.T, b *bench) *sourcetest.Cutter {
	t.Helper()
	return sourcetest.NewCutter(t, strings.TrimPrefix(b.server.URL, "http://"))
}

func closeLease(t *testing.T, l *store.Lease) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
