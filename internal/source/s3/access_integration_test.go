// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package s3

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/sourcetest/miniotest"
)

func TestRotatedCredentialsAreReadAgain(t *testing.T) {
	server := startMinIO(t)
	dir := t.TempDir()
	write := func(name, value string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(value+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := server.open(t, func(c *Config) { c.Keys, c.Credentials = nil, &source.Mount{Dir: dir, Name: "the Secret"} })
	write(fileAccessKey, miniotest.AccessKey)
	write(fileSecretKey, "wrong")
	if err := errorOf(t, s, ""); !errors.Is(err, source.ErrDenied) || !strings.Contains(err.Error(), "the keys in the Secret") {
		t.Fatalf("with the wrong key: %v", err)
	}
	write(fileSecretKey, miniotest.SecretKey)
	if err := errorOf(t, s, ""); err != nil {
		t.Errorf("with the right key: %v", err)
	}
}

func TestARegionThatIsNotGivenIsFoundWithoutAsking(t *testing.T) {
	const region = "eu-test-1"
	server := minioService(t, miniotest.StartWith(t, miniotest.Options{Buckets: []string{bucket},
		Env: []string{"MINIO_SITE_REGION=" + region}}))
	server.put(t, "tree/file", []byte("content"))

	proxy := record(t, server.addr)
	s := server.open(t, through(proxy.Addr))
	readRange(t, s, one(t, s, "tree/"), 0, 7)
	// The one wrong guess; from then on the region is known.
	want := []string{"GET /contract/ list-type", "GET /contract/ list-type", "GET /contract/tree/file"}
	if got := proxy.take(); !slices.Equal(got, want) {
		t.Errorf("a tree: got %q, want %q", got, want)
	}

	// The answer to HEAD does not name the region.
	s = server.open(t)
	if got := readRange(t, s, one(t, s, "tree/file"), 0, 7); string(got) != "content" {
		t.Errorf("got %q", got)
	}

	wrong := server.open(t, func(c *Config) { c.Region = "elsewhere-2" })
	if err := errorOf(t, wrong, "tree/"); !errors.Is(err, source.ErrMisconfigured) || !strings.Contains(err.Error(), "set region") {
		t.Errorf("with another region: got %v", err)
	}
}

func TestTheBucketCanBePartOfTheHostName(t *testing.T) {
	const domain = "storage.test"
	server := minioService(t, miniotest.StartWith(t, miniotest.Options{Buckets: []string{bucket}, Env: []string{"MINIO_DOMAIN=" + domain}}))
	server.put(t, "tree/a file", []byte("content"))
	proxy := record(t, server.addr)
	s := server.open(t, through(domain), func(c *Config) { c.PathStyle = false })
	s.transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, proxy.Addr)
	}
	if got := readRange(t, s, one(t, s, "tree/"), 0, 7); string(got) != "content" {
		t.Errorf("got %q", got)
	}
	want := []string{"GET " + bucket + "." + domain + "/ list-type", "GET " + bucket + "." + domain + "/tree/a file"}
	if got := proxy.take(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := errorOf(t, server.open(t, through("kuda.invalid"), func(c *Config) { c.PathStyle = false }), "tree/"); !errors.Is(err,
		source.ErrUnreachable) ||
		!strings.Contains(err.Error(), "pathStyle") {
		t.Errorf("without a host name of the bucket: got %v", err)
	}
}

func TestOnlyACertificateOfTheGivenAuthorityIsTrusted(t *testing.T) {
	certificate, key := newCertificate(t)
	server := minioService(t, miniotest.StartWith(t, miniotest.Options{Buckets: []string{bucket}, Certificate: certificate, Key: key}))
	server.put(t, "file", []byte("content"))
	s := server.open(t, trusting(t, certificate))
	if got := readRange(t, s, one(t, s, "file"), 0, 7); string(got) != "content" {
		t.Errorf("got %q", got)
	}
	if err := errorOf(t, server.open(t), "file"); !errors.Is(err, source.ErrMisconfigured) {
		t.Errorf("without the authority: got %v", err)
	}
	other, _ := newCertificate(t)
	if err := errorOf(t, server.open(t, trusting(t, other)), "file"); !errors.Is(err, source.ErrMisconfigured) {
		t.Errorf("with another authority: got %v", err)
	}
}

func TestEverythingGoesThroughTheProxy(t *testing.T) {
	certificate, key := newCertificate(t)
	plain := startMinIO(t)
	encrypted := minioService(t, miniotest.StartWith(t, miniotest.Options{Buckets: []string{bucket}, Certificate: certificate, Key: key}))
	for method, server := range map[string]service{"GET": plain, "CONNECT": encrypted} {
		server.put(t, "tree/file", []byte("content"))
		proxy := newForwardProxy(t)
		s := server.open(t, trusting(t, certificate), func(c *Config) { c.Proxy = proxy.URL })
		if got := readRange(t, s, one(t, s, "tree/"), 0, 7); string(got) != "content" {
			t.Errorf("%s: got %q", method, got)
		}
		if proxy.seen(method, server.addr) == 0 || proxy.bytes.Load() == 0 {
			t.Errorf("%s: the proxy saw no traffic", method)
		}
	}
}

// trusting is a setting by which a certificate is trusted.
func trusting(t *testing.T, certificate []byte) func(*Config) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	return func(c *Config) { c.CAFile, c.CAName = file, "the ConfigMap" }
}
