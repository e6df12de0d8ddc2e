// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package s3

import (
	"bytes"
	"errors"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/s3/s3test"
	"github.com/kuda-io/kuda/internal/source/sourcetest"
)

func TestContractOnMinIO(t *testing.T) { contract(t, startMinIO(t)) }

func TestContractOnCeph(t *testing.T) { contract(t, startCeph(t)) }

func TestContractOnMoto(t *testing.T) { contract(t, startOther(t, s3test.Moto)) }

func TestContractOnS3Proxy(t *testing.T) { contract(t, startOther(t, s3test.S3Proxy), onDirectory) }

// onDirectory is how a gateway differs whose objects are files of a directory.
func onDirectory(h *sourcetest.Harness) {
	// It writes to a name that is longer by a UUID first, and file systems end at 255.
	h.Refuses = func(key string) bool { return len(path.Base(key)) > 255-len("-00000000-0000-0000-0000-000000000000") }
	// S3Proxy 3.1.0 returns 500: the file system says that it is no directory.
	h.FailsBelowFiles = true
	put := h.PutHostile
	h.PutHostile = func(t *testing.T, key string, content []byte) bool {
		// It stores what is outside of the tree for the file system outside of it.
		tree, _, _ := strings.Cut(key, "/")
		return strings.HasPrefix(path.Clean(key), tree+"/") && put(t, key, content)
	}
	h.Clean = func(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }
}

func contract(t *testing.T, s service, changes ...func(*sourcetest.Harness)) {
	h := sourcetest.Harness{
		Addr:       s.addr,
		HTTP:       true,
		Open:       func(t *testing.T, addr string) source.Source { return s.open(t, through(addr)) },
		OpenDenied: func(t *testing.T) source.Source { return s.open(t, wrongSecret) },
		Put:        func(t *testing.T, path string, content []byte) { s.put(t, path, content) },
		PutAll:     s.putAll,
		PutHostile: func(t *testing.T, path string, content []byte) bool {
			_, err := s.admin.PutObject(t.Context(), s.config.Bucket, path, bytes.NewReader(content), int64(len(content)), putOptions)
			return err == nil
		},
		Delete: func(t *testing.T, path string) { s.remove(t, path, "") },
	}
	for _, change := range changes {
		change(&h)
	}
	sourcetest.Run(t, h)
}

func wrongSecret(c *Config) {
	c.Keys = &Keys{AccessKey: c.Keys.AccessKey, SecretKey: "wrong"}
}

func TestFailuresOfMinIOHaveTheirClass(t *testing.T) { failures(t, startMinIO(t), "") }

func TestFailuresOfCephHaveTheirClass(t *testing.T) { failures(t, startCeph(t), "") }

// moto 5.2.5 returns 500 to an unsigned listing.
func TestFailuresOfMotoHaveTheirClass(t *testing.T) {
	failures(t, startOther(t, s3test.Moto), "anonymous")
}

func TestFailuresOfS3ProxyHaveTheirClass(t *testing.T) {
	failures(t, startOther(t, s3test.S3Proxy), "")
}

// failures provokes them all but one, which the service answers wrongly.
func failures(t *testing.T, s service, except string) {
	s.put(t, "there", []byte("x"))
	empty := t.TempDir()
	for name, c := range map[string]struct {
		change func(*Config)
		path   string
		want   error
	}{
		"missing bucket":     {func(c *Config) { c.Bucket = "missing" }, "there", source.ErrNotFound},
		"missing object":     {func(*Config) {}, "missing", source.ErrNotFound},
		"unknown access key": {func(c *Config) { c.Keys = &Keys{AccessKey: "stranger", SecretKey: "nothing"} }, "there", source.ErrDenied},
		"wrong secret key":   {wrongSecret, "there", source.ErrDenied},
		"anonymous":          {func(c *Config) { c.Keys = nil }, "there", source.ErrDenied},
		"missing credentials": {func(c *Config) { c.Keys, c.Credentials = nil, &source.Mount{Dir: empty, Name: `Secret "s3"`} }, "there",
			source.ErrCredentials},
		"no server there": {through("127.0.0.1:1"), "there", source.ErrUnreachable},
		"unknown host":    {through("kuda.invalid"), "there", source.ErrUnreachable},
		"plain as TLS":    {func(c *Config) { c.Endpoint = "https://" + s.addr }, "there", source.ErrMisconfigured},
	} {
		if name == except {
			continue
		}
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{c.path, c.path + "/"} {
				if err := errorOf(t, s.open(t, c.change), path); !errors.Is(err, c.want) {
					t.Errorf("%s: got %v, want %v", path, err, c.want)
				}
			}
		})
	}
}

func TestDirectoryMarkersAreNoFiles(t *testing.T) {
	for name, s := range map[string]service{
		"MinIO": startMinIO(t), "Ceph": startCeph(t), "moto": startOther(t, s3test.Moto), "S3Proxy": startOther(t, s3test.S3Proxy),
	} {
		s.put(t, "tree/dir/", nil)
		s.put(t, "tree/file", []byte("x"))
		entries, err := collect(t, s.open(t), "tree")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(entries) != 1 || entries[0].Path != "file" {
			t.Errorf("%s: got %+v", name, entries)
		}
	}
}

// A request more for each file would double the time of a tree of small ones.
func TestNothingIsAskedTwice(t *testing.T) {
	s := startMinIO(t)
	files := map[string][]byte{"large": make([]byte, 3000)}
	for _, name := range []string{"tree/a", "tree/b", "tree/c/d"} {
		files[name] = []byte(name)
	}
	s.putAll(t, files)
	proxy := record(t, s.addr)
	source := s.open(t, through(proxy.Addr))
	read := func(path string, pieces int64) {
		entries, err := collect(t, source, path)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			for piece := range pieces {
				readRange(t, source, e, piece*e.Size/pieces, e.Size/pieces)
			}
		}
	}
	read("large", 3)
	// The first bytes and the listing are asked for with the head; the listing is given
	// up, perhaps before it is under way.
	want := []string{"GET /contract/large range", "GET /contract/large range", "GET /contract/large range", "GET /contract/large range",
		"HEAD /contract/large"}
	got := slices.DeleteFunc(proxy.take(), func(r string) bool { return r == "GET /contract/ list-type" })
	if !slices.Equal(got, want) {
		t.Errorf("an object in three ranges: got %q, want %q", got, want)
	}
	read("tree/", 1)
	want = []string{"GET /contract/ list-type", "GET /contract/tree/a", "GET /contract/tree/b", "GET /contract/tree/c/d"}
	if got := proxy.take(); !slices.Equal(got, want) {
		t.Errorf("a tree: got %q, want %q", got, want)
	}
}
