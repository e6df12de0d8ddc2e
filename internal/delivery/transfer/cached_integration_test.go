// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package transfer

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/alluxio/alluxiotest"
	"github.com/kuda-io/kuda/internal/source/cache"
	"github.com/kuda-io/kuda/internal/source/limit"
	"github.com/kuda-io/kuda/internal/source/s3"
	"github.com/kuda-io/kuda/internal/source/sourcetest/miniotest"
	"github.com/kuda-io/kuda/internal/storagetest"
)

// counted is a proxy in front of a server that counts the bytes of its objects.
type counted struct {
	url  string
	sent atomic.Int64
}

// newCounted starts one. The host of requests, which their signatures cover, stays.
func newCounted(t *testing.T, target string) *counted {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	c := &counted{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = u.Scheme, u.Host, r.In.Host
		},
		ModifyResponse: func(r *http.Response) error {
			if r.Request.Method == http.MethodGet && r.Request.URL.Query().Get("list-type") == "" && r.StatusCode < 300 {
				r.Body = &countedBody{r.Body, &c.sent}
			}
			return nil
		},
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// countedBody counts the bytes that are read of it.
type countedBody struct {
	io.ReadCloser
	sent *atomic.Int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.sent.Add(int64(n))
	return n, err
}

// remote is a MinIO whose objects are counted, with an engine that reads it.
type remote struct {
	minio  *miniotest.Server
	origin *counted
	source *s3.Source
	engine *Engine
	limits *limit.Group
}

func newRemote(t *testing.T) *remote {
	t.Helper()
	f := &remote{minio: miniotest.Start(t, bucket)}
	f.origin = newCounted(t, f.minio.URL())
	keys := &s3.Keys{AccessKey: miniotest.AccessKey, SecretKey: miniotest.SecretKey}
	var err error
	if f.source, err = s3.New(s3.Config{Endpoint: f.origin.url, Bucket: bucket, PathStyle: true, Keys: keys}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.source.Close() })
	f.limits = limit.NewGroup(limit.Options{})
	return f
}

// deliver brings a tree into a new store, through the backend, and holds it against what
// the bucket has.
func (f *remote) deliver(t *testing.T, b cache.Backend, only bool, want map[string]string, progress func(Progress)) (*Result, error) {
	t.Helper()
	s, _ := openEngine(t, t.TempDir())
	f.engine = New(Options{Store: s, Connections: 4, Attempts: 3, Limits: f.limits})
	src, key := f.source, NewRequest(f.source, (&bench{source: f.source}).key("tree/", "1"), progress)
	key.Cache = cache.NewGroup().New(b, src)
	key.Cache.Only = only
	result, err := f.engine.Deliver(t.Context(), key)
	if err != nil {
		return nil, err
	}
	defer closeLease(t, result.Lease)
	got := files(t, result.Lease)
	for name, content := range want {
		if got[name] != content {
			t.Errorf("%s: the delivered bytes are not the source's", name)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d files were delivered, want %d", len(got), len(want))
	}
	return result, nil
}

func (f *remote) mustDeliver(t *testing.T, b cache.Backend, want map[string]string) *Result {
	t.Helper()
	result, err := f.deliver(t, b, false, want, nil)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func (f *remote) put(t *testing.T, want map[string]string, name string, content []byte) {
	t.Helper()
	f.minio.Put(t, bucket, "tree/"+name, content)
	want[name] = string(content)
}

const farBytes = 24 << 20

func TestAlluxioInFrontOfMinIONeverChangesWhatIsDelivered(t *testing.T) {
	f := newRemote(t)
	want := map[string]string{}
	f.put(t, want, "large", noise(1, farBytes))
	f.put(t, want, "small", noise(2, 1000))
	f.minio.Put(t, bucket, "other/tree/large", noise(3, farBytes))
	behind := newCounted(t, f.minio.URL())
	server := alluxiotest.Start(t, "ufs=s3://"+bucket+"/", "s3="+behind.url, "accessKey="+miniotest.AccessKey,
		"secretKey="+miniotest.SecretKey, "block-size=8388608", "cache-size=100663296")
	host, port := server.Host(t)
	mount := func(path string) cache.Backend {
		b, err := cache.NewAlluxio(cache.Alluxio{Host: host, Port: port, Path: path, UserName: "kuda", Timeout: 5 * time.Minute}, f.source)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = b.Close() })
		return b
	}
	f.warmUp(t, mount("/"))
	t.Run("filled", func(t *testing.T) { f.testFilled(t, behind, mount, want) })
	for _, state := range []string{"cold", "warm"} {
		before := f.origin.sent.Load()
		result := f.mustDeliver(t, mount("/"), want)
		if result.Cache.Served != farBytes || f.origin.sent.Load()-before != 1000 {
			t.Errorf("%s: got %+v, and the source sent %d bytes", state, result.Cache, f.origin.sent.Load()-before)
		}
	}
	t.Run("stale", func(t *testing.T) {
		for i, size := range []int{farBytes, farBytes - 1, farBytes + 5} {
			f.put(t, want, "large", noise(uint32(10+i), size))
			f.mustDeliver(t, mount("/"), want)
		}
		f.put(t, want, "large", noise(1, farBytes))
		f.mustDeliver(t, mount("/"), want)
	})
	t.Run("another mount", func(t *testing.T) {
		result := f.mustDeliver(t, mount("/other"), want)
		if result.Cache.Reason() != cache.ReasonMisconfigured || result.Cache.Served != 0 {
			t.Errorf("got %+v", result.Cache)
		}
		_, err := f.deliver(t, mount("/other"), true, want, nil)
		if !errors.Is(err, source.ErrMisconfigured) || !strings.Contains(err.Error(), cache.ReasonMisconfigured) {
			t.Errorf("with fallback Never: got %v", err)
		}
	})
	t.Run("poisoned block", func(t *testing.T) { f.testPoisonedBlock(t, server, mount, want) })
	t.Run("frozen worker", func(t *testing.T) {
		f.testWorkerFails(t, server, mount("/"), want, syscall.SIGSTOP)
		server.Signal(t, "worker0", syscall.SIGCONT)
	})
	t.Run("killed worker", func(t *testing.T) {
		f.testWorkerFails(t, server, mount("/"), want, syscall.SIGKILL)
	})
	t.Run("too small", func(t *testing.T) { f.testTooSmall(t, mount("/")) })
	t.Run("killed master", func(t *testing.T) {
		server.Signal(t, "master", syscall.SIGKILL)
		result := f.mustDeliver(t, mount("/"), want)
		if result.Cache.Reason() == "" || result.Cache.Served != 0 {
			t.Errorf("got %+v", result.Cache)
		}
		if _, err := f.deliver(t, mount("/"), true, want, nil); !errors.Is(err, source.ErrUnreachable) {
			t.Errorf("with fallback Never: got %v", err)
		}
	})
}

// warmUp has the servers load their classes, which takes longer than a delivery waits for
// a cache.
func (f *remote) warmUp(t *testing.T, b cache.Backend) {
	t.Helper()
	f.minio.Put(t, bucket, "warm/up", noise(9, 2<<20))
	for e, err := range f.source.List(t.Context(), "warm/up") {
		if err != nil {
			t.Fatal(err)
		}
		body, err := b.Open(t.Context(), e, 0, e.Size)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, body); err != nil {
			t.Fatal(err)
		}
		body.Close()
	}
}

// fill fills a cache with a tree.
func (f *remote) fill(t *testing.T, b cache.Backend, tree string) (*Fill, error) {
	t.Helper()
	s, _ := openEngine(t, t.TempDir())
	key := NewRequest(f.source, (&bench{source: f.source}).key(tree, "1"), nil)
	key.Cache = cache.NewGroup().New(b, f.source)
	return New(Options{Store: s, Limits: f.limits}).FillCache(t.Context(), key, nil)
}

// testFilled fills the cache, and delivers several times with fallback Never.
func (f *remote) testFilled(t *testing.T, behind *counted, mount func(string) cache.Backend, want map[string]string) {
	before := behind.sent.Load()
	for _, once := range []int64{farBytes, 0} {
		before := behind.sent.Load()
		filled, err := f.fill(t, mount("/"), "tree/")
		if err != nil || filled.Held != farBytes || filled.Total != farBytes || filled.Reason() != "" {
			t.Fatalf("%+v, %v", filled, err)
		}
		// Alluxio 2.9.6 reads up to a block further than it is asked to.
		if sent := behind.sent.Load() - before; sent < once || sent > once+once*2/5 {
			t.Errorf("the source sent %d bytes to the cache, want %d", sent, once)
		}
	}
	direct := f.origin.sent.Load()
	for range 4 {
		result, err := f.deliver(t, mount("/"), true, want, nil)
		if err != nil {
			t.Fatal(err)
		}
		if result.Cache.Served != farBytes {
			t.Errorf("%+v", result.Cache)
		}
	}
	if sent := behind.sent.Load() - before; sent > farBytes+farBytes*2/5 {
		t.Errorf("the source sent %d bytes to the cache, want %d", sent, farBytes)
	}
	if sent := f.origin.sent.Load() - direct; sent != 4*1000 {
		t.Errorf("the source sent %d bytes beside the cache", sent)
	}
}

// testTooSmall fills the cache with more than it can hold.
func (f *remote) testTooSmall(t *testing.T, b cache.Backend) {
	f.minio.Put(t, bucket, "big/file", noise(7, 128<<20))
	filled, err := f.fill(t, b, "big/")
	if err != nil || filled.Held >= filled.Total || filled.Total != 128<<20 || filled.Reason() == "" {
		t.Errorf("%+v, %v", filled, err)
	}
	t.Logf("%+v, %v", filled, err)
}

// testPoisonedBlock changes the bytes of blocks on the worker's disk.
func (f *remote) testPoisonedBlock(t *testing.T, server *alluxiotest.Server, mount func(string) cache.Backend, want map[string]string) {
	f.mustDeliver(t, mount("/"), want)
	blocks := server.Blocks(t)
	if len(blocks) == 0 {
		t.Fatal("the worker holds no block")
	}
	for _, path := range blocks {
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteAt([]byte("poison"), 1000); err != nil {
			t.Fatal(err)
		}
		file.Close()
	}
	before := f.origin.sent.Load()
	result := f.mustDeliver(t, mount("/"), want)
	if result.Cache.Rejected != farBytes || result.Cache.Served != 0 || f.origin.sent.Load()-before != farBytes+1000 {
		t.Errorf("got %+v, and the source sent %d bytes", result.Cache, f.origin.sent.Load()-before)
	}
	_, err := f.deliver(t, mount("/"), true, want, nil)
	if !errors.Is(err, source.ErrMisconfigured) || !strings.Contains(err.Error(), cache.ReasonRejected) {
		t.Errorf("with fallback Never: got %v", err)
	}
	for _, path := range blocks { // the later tests want the right bytes again
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		right := []byte(want["large"])
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at+len(content) <= len(right); at += 8 << 20 {
			if string(right[at+2000:at+4000]) == string(content[2000:4000]) {
				if _, err := file.WriteAt(right[at:at+len(content)], 0); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// testWorkerFails sends the worker a signal in the middle of a read.
func (f *remote) testWorkerFails(t *testing.T, server *alluxiotest.Server, b cache.Backend, want map[string]string, signal syscall.Signal) {
	// Slow enough to be in the middle when the signal comes.
	f.limits.Set(b.Identity(), limit.Limits{BytesPerSecond: 4 << 20})
	defer f.limits.Set(b.Identity(), limit.Limits{})
	var once sync.Once
	var at time.Time
	before := f.origin.sent.Load()
	result, err := f.deliver(t, b, false, want, func(p Progress) {
		if p.Cached > 1<<20 {
			once.Do(func() {
				at = time.Now()
				server.Signal(t, "worker0", signal)
			})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if at.IsZero() || result.Cache.Fallbacks[cache.ReasonFailed] == 0 {
		t.Errorf("nothing failed: %+v", result.Cache)
	}
	if sent := f.origin.sent.Load() - before; sent > farBytes+1000 {
		t.Errorf("the source sent %d bytes", sent)
	}
	t.Logf("delivered %v after the signal: %+v", time.Since(at), result.Cache)
}

// proxyServer is what 'kuda-cluster storage run nginx' says of itself.
type proxyServer struct{ URL string }

func TestCachingProxyInFrontOfMinIONeverChangesWhatIsDelivered(t *testing.T) {
	f := newRemote(t)
	want := map[string]string{}
	f.put(t, want, "large", noise(1, farBytes))
	f.put(t, want, "small", noise(2, 1000))
	server := proxyServer{}
	storagetest.Start(t, "nginx", &server)
	b, err := cache.NewProxy(server.URL, f.source)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	filled, err := f.fill(t, b, "tree/")
	if err != nil || filled.Held != farBytes {
		t.Fatalf("%+v, %v", filled, err)
	}
	if sent := f.origin.sent.Load(); sent > farBytes+(1<<20) {
		t.Errorf("to fill it, the source sent %d bytes", sent)
	}
	for i, once := range []int64{0, 0} {
		before := f.origin.sent.Load()
		result := f.mustDeliver(t, b, want)
		if result.Cache.Served != farBytes {
			t.Errorf("delivery %d: got %+v", i, result.Cache)
		}
		if sent := f.origin.sent.Load() - before; sent < once || sent > once+(2<<20)+1000 { // nginx asks for whole pieces
			t.Errorf("delivery %d: the source sent %d bytes", i, sent)
		}
	}
	// nginx serves what it has, whatever the source has by now.
	f.put(t, want, "large", noise(5, farBytes))
	result := f.mustDeliver(t, b, want)
	if result.Cache.Rejected != farBytes || result.Cache.Served != 0 {
		t.Errorf("after the object changed: got %+v", result.Cache)
	}
	if _, err := f.deliver(t, b, true, want, nil); !errors.Is(err, source.ErrMisconfigured) {
		t.Errorf("with fallback Never: got %v", err)
	}
}
