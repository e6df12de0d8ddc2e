// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"errors"
	"maps"
	"sync"
	"testing"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/hdfs"
	sourcehttp "github.com/kuda-io/kuda/internal/source/http"
	"github.com/kuda-io/kuda/internal/source/oci"
	"github.com/kuda-io/kuda/internal/source/s3"
	"github.com/kuda-io/kuda/internal/source/sourcetest/distance"
	"github.com/kuda-io/kuda/internal/source/sourcetest/odd"
)

// oddDriver is a driver with its server.
type oddDriver struct {
	name  string
	serve func(testing.TB) *odd.Server
	open  func(url string) (source.Source, error)
	// artifact is what a path is in; "" for the source itself.
	artifact string
}

var (
	oddS3 = oddDriver{name: "s3", serve: odd.NewS3, open: func(url string) (source.Source, error) {
		return s3.New(s3.Config{Endpoint: url, Bucket: odd.Bucket, PathStyle: true, Region: "us-east-1"})
	}}
	oddHTTP = oddDriver{name: "http", serve: odd.NewHTTP, open: func(url string) (source.Source, error) {
		return sourcehttp.New(sourcehttp.Config{URL: url})
	}}
	oddHDFS = oddDriver{name: "hdfs", serve: odd.NewHDFS, open: func(address string) (source.Source, error) {
		return hdfs.New(hdfs.Config{Addresses: []string{address}, UserName: "kuda"})
	}}
	oddOCI = oddDriver{name: "oci", serve: odd.NewOCI, artifact: odd.Artifact + "//", open: func(url string) (source.Source, error) {
		return oci.New(oci.Config{Registry: url})
	}}

	oddDrivers = []oddDriver{oddS3, oddHTTP, oddHDFS, oddOCI}
)

// oddBench is an engine that reads from an odd server.
type oddBench struct {
	*odd.Server
	driver oddDriver
	source source.Source
	store  *store.Store
	engine *Engine
	want   map[string][]byte
	// attempts is how often a delivery tries that is to succeed.
	attempts int
}

func newOddBench(t *testing.T, d oddDriver) *oddBench {
	t.Helper()
	b := &oddBench{Server: d.serve(t), driver: d, want: map[string][]byte{}, attempts: 3}
	b.reach(t, b.URL)
	b.store, b.engine = openEngine(t, t.TempDir())
	b.engine.options.RangeBytes = 8 << 20
	return b
}

// reach opens the source at another address of the server.
func (b *oddBench) reach(t *testing.T, url string) {
	t.Helper()
	var err error
	if b.source, err = b.driver.open(url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.source.Close() })
}

// far puts a distance in front of the server.
func (b *oddBench) far(t *testing.T, p distance.Profile) *distance.Proxy {
	t.Helper()
	d := distance.New(p)
	t.Cleanup(d.Close)
	b.reach(t, b.Front(func(address string) string {
		addr, err := d.Listen(address)
		if err != nil {
			t.Fatal(err)
		}
		return addr
	}))
	return d
}

// put stores a file of the tree.
func (b *oddBench) put(name string, content []byte) {
	b.Put("tree/"+name, content)
	b.want[name] = content
}

func (b *oddBench) deliver(t *testing.T, path, version string) (*Result, error) {
	key := snapshot.Key{Source: b.source.Identity(), Path: b.driver.artifact + path, Version: version}
	result, err := b.engine.Deliver(t.Context(), NewRequest(b.source, key, nil))
	if err == nil {
		t.Cleanup(func() { closeLease(t, result.Lease) })
	}
	return result, err
}

// right checks that what was delivered is what is stored.
func (b *oddBench) right(t *testing.T, result *Result, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for name, content := range b.want {
		want[name] = string(content)
	}
	if got := files(t, result.Lease); !maps.Equal(got, want) {
		t.Errorf("got %d files that are not the %d that are stored", len(got), len(want))
	}
}

// oddLarge is the content of a file of more than one range. It is read only.
var oddLarge = sync.OnceValue(func() []byte { return noise(1, 10<<20) })

// The shapes of a delivery.
var oddShapes = map[string]func(t *testing.T, b *oddBench, f odd.Faults) (*Result, error){
	"file": func(t *testing.T, b *oddBench, f odd.Faults) (*Result, error) {
		content := oddLarge()
		b.Put("one.bin", content)
		b.want[snapshot.FileName] = content
		b.Fail(f)
		return b.deliver(t, "one.bin", "1")
	},
	"tree": func(t *testing.T, b *oddBench, f odd.Faults) (*Result, error) {
		b.put("a/large", oddLarge())
		b.put("b", noise(2, 100))
		b.put("c", nil)
		b.Fail(f)
		return b.deliver(t, "tree/", "1")
	},
	// A file whose delivery was cut off before, by a server without faults.
	"resume": func(t *testing.T, b *oddBench, f odd.Faults) (*Result, error) {
		content := oddLarge()
		b.Put("one.bin", content)
		b.want[snapshot.FileName] = content
		b.Fail(odd.Faults{CutAfter: 6 << 20})
		b.engine.policy.Attempts = 1
		if _, err := b.deliver(t, "one.bin", "1"); !errors.Is(err, source.ErrTemporary) {
			t.Fatalf("the first delivery: got %v", err)
		}
		b.engine.policy.Attempts = b.attempts
		b.Fail(f)
		return b.deliver(t, "one.bin", "1")
	},
	// A tree of which an older version is in the store.
	"delta": func(t *testing.T, b *oddBench, f odd.Faults) (*Result, error) {
		b.put("a/large", oddLarge())
		b.put("b", noise(2, 1000))
		if _, err := b.deliver(t, "tree/", "1"); err != nil {
			t.Fatal(err)
		}
		b.Fail(f)
		b.put("b", noise(3, 1000))
		return b.deliver(t, "tree/", "2")
	},
}
