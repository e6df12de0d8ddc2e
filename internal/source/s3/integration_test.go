// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package s3

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/sourcetest"
	"github.com/kuda-io/kuda/internal/source/sourcetest/miniotest"
)

const bucket = "contract"

func keys(secret string) *Keys {
	return &Keys{AccessKey: miniotest.AccessKey, SecretKey: source.Secret(secret)}
}

func open(t *testing.T, c Config) *Source {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestContractOnMinIO(t *testing.T) {
	server := miniotest.Start(t, bucket)
	config := Config{Endpoint: "http://" + server.Addr, Bucket: bucket, PathStyle: true, Keys: keys(miniotest.SecretKey)}
	admin := open(t, config)
	sourcetest.Run(t, sourcetest.Harness{
		Addr: server.Addr,
		Open: func(t *testing.T, addr string) source.Source {
			c := config
			c.Endpoint = "http://" + addr
			return open(t, c)
		},
		OpenDenied: func(t *testing.T) source.Source {
			c := config
			c.Keys = keys("wrong-secret")
			return open(t, c)
		},
		Put:     func(t *testing.T, path string, content []byte) { put(t, admin, path, content) },
		Refuses: func(path string) bool { return false },
	})
}

func put(t *testing.T, s *Source, key string, content []byte) {
	t.Helper()
	_, err := s.signing.Load().client.Client.PutObject(t.Context(), bucket, key, bytes.NewReader(content), int64(len(content)), minio.PutObjectOptions{})
	if err != nil {
		t.Fatalf("putting %s: %v", key, err)
	}
}

func errorOf(t *testing.T, s *Source, path string) error {
	t.Helper()
	for _, err := range s.List(t.Context(), path) {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestFailuresOfMinIOHaveTheirClass(t *testing.T) {
	server := miniotest.Start(t, bucket)
	config := Config{Endpoint: "http://" + server.Addr, Bucket: bucket, PathStyle: true, Keys: keys(miniotest.SecretKey)}
	put(t, open(t, config), "there", []byte("x"))
	with := func(change func(*Config)) *Source {
		c := config
		change(&c)
		return open(t, c)
	}
	empty := t.TempDir()
	for name, c := range map[string]struct {
		source *Source
		path   string
		want   error
	}{
		"missing bucket":      {with(func(c *Config) { c.Bucket = "missing" }), "there", source.ErrNotFound},
		"missing object":      {with(func(c *Config) {}), "missing", source.ErrNotFound},
		"unknown access key":  {with(func(c *Config) { c.Keys = &Keys{AccessKey: "nobody", SecretKey: "nothing"} }), "there", source.ErrDenied},
		"wrong secret key":    {with(func(c *Config) { c.Keys = keys("wrong") }), "there", source.ErrDenied},
		"anonymous":           {with(func(c *Config) { c.Keys = nil }), "there", source.ErrDenied},
		"missing credentials": {with(func(c *Config) { c.Keys, c.Credentials = nil, &source.Mount{Dir: empty, Name: `Secret "s3"`} }), "there", source.ErrCredentials},
		"nobody there":        {with(func(c *Config) { c.Endpoint = "http://127.0.0.1:1" }), "there", source.ErrUnreachable},
		"unknown host":        {with(func(c *Config) { c.Endpoint = "http://kuda.invalid" }), "there", source.ErrUnreachable},
		"plain as TLS":        {with(func(c *Config) { c.Endpoint = "https://" + server.Addr }), "there", source.ErrMisconfigured},
	} {
		t.Run(name, func(t *testing.T) {
			if err := errorOf(t, c.source, c.path); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestRotatedCredentialsAreReadAgain(t *testing.T) {
	server := miniotest.Start(t, bucket)
	dir := t.TempDir()
	write := func(name, value string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(value+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, Config{Endpoint: "http://" + server.Addr, Bucket: bucket, PathStyle: true,
		Credentials: &source.Mount{Dir: dir, Name: "the Secret"}})
	write(fileAccessKey, miniotest.AccessKey)
	write(fileSecretKey, "wrong")
	if err := errorOf(t, s, ""); !errors.Is(err, source.ErrDenied) {
		t.Fatalf("with the wrong key: %v", err)
	}
	write(fileSecretKey, miniotest.SecretKey)
	if err := errorOf(t, s, ""); err != nil {
		t.Errorf("with the right key: %v", err)
	}
}

func TestDirectoryMarkersAreNoFiles(t *testing.T) {
	server := miniotest.Start(t, bucket)
	s := open(t, Config{Endpoint: "http://" + server.Addr, Bucket: bucket, PathStyle: true, Keys: keys(miniotest.SecretKey)})
	put(t, s, "tree/dir/", nil)
	put(t, s, "tree/file", []byte("x"))
	var got []string
	for entry, err := range s.List(t.Context(), "tree") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, entry.Path)
	}
	if len(got) != 1 || got[0] != "file" {
		t.Errorf("got %q", got)
	}
}
