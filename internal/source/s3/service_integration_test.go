// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package s3

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/s3/s3test"
	"github.com/kuda-io/kuda/internal/source/sourcetest"
	"github.com/kuda-io/kuda/internal/source/sourcetest/miniotest"
)

const bucket = "contract"

// service is a real S3 service with a bucket that its administrator fills.
type service struct {
	addr   string
	config Config
	admin  *minio.Client
}

func startMinIO(t *testing.T) service {
	t.Helper()
	return minioService(t, miniotest.Start(t, bucket))
}

func minioService(t *testing.T, server *miniotest.Server) service {
	t.Helper()
	return service{
		addr:   server.Addr,
		config: Config{Endpoint: server.URL(), Bucket: bucket, PathStyle: true, Keys: keys(miniotest.SecretKey)},
		admin:  server.Client(t),
	}
}

func keys(secret string) *Keys {
	return &Keys{AccessKey: miniotest.AccessKey, SecretKey: source.Secret(secret)}
}

func startCeph(t *testing.T) service { return startOther(t, s3test.Ceph) }

func startOther(t *testing.T, kind string) service {
	t.Helper()
	server := s3test.Start(t, kind)
	c := Config{Endpoint: server.Endpoint, Bucket: server.Bucket, PathStyle: true,
		Keys: &Keys{AccessKey: server.AccessKey, SecretKey: source.Secret(server.SecretKey)}}
	return service{addr: server.Addr(), config: c, admin: open(t, c).signing.Load().client.Client}
}

// open opens a source of the service with changed settings.
func (s service) open(t *testing.T, changes ...func(*Config)) *Source {
	t.Helper()
	c := s.config
	for _, change := range changes {
		change(&c)
	}
	return open(t, c)
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

// through is a setting by which the service is reached at another address.
func through(addr string) func(*Config) {
	return func(c *Config) { c.Endpoint = "http://" + addr }
}

// putOptions do without a signature of the content: Ceph takes no empty object
// whose content is signed piece by piece.
var putOptions = minio.PutObjectOptions{DisableContentSha256: true}

// put stores an object and returns its version, if it has one.
func (s service) put(t *testing.T, key string, content []byte, options ...minio.PutObjectOptions) string {
	t.Helper()
	o := putOptions
	if len(options) > 0 {
		o = options[0]
	}
	info, err := s.admin.PutObject(t.Context(), s.config.Bucket, key, bytes.NewReader(content), int64(len(content)), o)
	if err != nil {
		t.Fatalf("putting %s: %v", key, err)
	}
	return info.VersionID
}

// putAll stores many objects, some at a time.
func (s service) putAll(t *testing.T, files map[string][]byte) {
	t.Helper()
	slots := make(chan struct{}, 8)
	var all sync.WaitGroup
	for key, content := range files {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			_, err := s.admin.PutObject(t.Context(), s.config.Bucket, key, bytes.NewReader(content), int64(len(content)), putOptions)
			if err != nil {
				t.Errorf("putting %s: %v", key, err)
			}
		})
	}
	all.Wait()
}

func (s service) remove(t *testing.T, key, version string) {
	t.Helper()
	if err := s.admin.RemoveObject(t.Context(), s.config.Bucket, key, minio.RemoveObjectOptions{VersionID: version}); err != nil {
		t.Fatalf("removing %s: %v", key, err)
	}
}

func errorOf(t *testing.T, s *Source, path string) error {
	t.Helper()
	_, err := collect(t, s, path)
	return err
}

// recorder is an honest proxy in front of a server that writes down requests.
type recorder struct {
	*sourcetest.Proxy

	mu       sync.Mutex
	requests []string
}

func record(t *testing.T, addr string) *recorder {
	r := &recorder{Proxy: sourcetest.NewProxy(t, addr)}
	r.Answer(func(_ http.ResponseWriter, request *http.Request) bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		line := request.Method + " " + request.Host + request.URL.Path
		for _, name := range []string{"list-type", "location", "versionId"} {
			if request.URL.Query().Has(name) {
				line += " " + name
			}
		}
		if request.Header.Get("Range") != "" {
			line += " range"
		}
		r.requests = append(r.requests, line)
		return false
	})
	return r
}

// take returns what was asked since the last time, sorted, without the host.
func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var lines []string
	for _, line := range r.requests {
		lines = append(lines, strings.Replace(line, r.Addr, "", 1))
	}
	r.requests = nil
	slices.Sort(lines)
	return lines
}
