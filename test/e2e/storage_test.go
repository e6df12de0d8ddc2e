// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	miniocreds "github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	storageUser     = "kudaadmin"
	storagePassword = "kudaadmin-secret"
	storageAddress  = "10.200.0.1:9000"
	// bridgeAddress is the host as the cluster's pods see it.
	bridgeAddress = "10.200.0.1"
	// inCluster is the same server by the name that pods resolve.
	inCluster = "http://minio.storage:9000"
	bucket    = "e2e"
)

// storage is the real MinIO server, and the account of what it was asked for:
// MinIO posts an audit record of every request to us.
type storage struct {
	client *minio.Client
	audit  *http.Server

	mu   sync.Mutex
	gets map[string]*gets
}

// gets counts the successful GETs of one object.
type gets struct {
	requests int
	bytes    int64
}

func startStorage() (*storage, error) {
	s := &storage{gets: map[string]*gets{}}
	listener, err := net.Listen("tcp", bridgeAddress+":0")
	if err != nil {
		return nil, fmt.Errorf("listening for MinIO's audit records: %w", err)
	}
	s.audit = &http.Server{Handler: http.HandlerFunc(s.record), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.audit.Serve(listener) }()
	// Every MinIO that this run starts reports here, also one that a test killed.
	for key, value := range map[string]string{"ENABLE": "on", "ENDPOINT": "http://" + listener.Addr().String()} {
		if err := os.Setenv("MINIO_AUDIT_WEBHOOK_"+key+"_e2e", value); err != nil {
			return nil, err
		}
	}
	cluster := os.Getenv("KUDA_CLUSTER")
	_ = command(cluster, "minio", "stop") // one that reports to an earlier run, if any
	if err := command(cluster, "minio", "start"); err != nil {
		return nil, err
	}
	s.client, err = minio.New(storageAddress, &minio.Options{Creds: miniocreds.NewStaticV4(storageUser, storagePassword, "")})
	return s, err
}

func (s *storage) close() { _ = s.audit.Close() }

func (s *storage) record(w http.ResponseWriter, r *http.Request) {
	var entry struct {
		API struct {
			Name       string `json:"name"`
			Bucket     string `json:"bucket"`
			Object     string `json:"object"`
			StatusCode int    `json:"statusCode"`
			Sent       int64  `json:"tx"`
		} `json:"api"`
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(body, &entry) != nil {
		return // MinIO probes the address with records of other kinds
	}
	if entry.API.Name != "GetObject" || entry.API.StatusCode/100 != 2 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.gets[entry.API.Object]
	if g == nil {
		g = &gets{}
		s.gets[entry.API.Object] = g
	}
	g.requests++
	g.bytes += entry.API.Sent
}

// served returns how many requests for an object were answered with how many bytes.
func (s *storage) served(key string) gets {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.gets[key]; g != nil {
		return *g
	}
	return gets{}
}

// isDownloaded reports whether so many bytes are those of an object that was downloaded a
// number of times. A delivery asks for its first 16 KiB before it knows how large it is.
func isDownloaded(got, size, times int64) bool {
	return got >= times*size && got <= times*(size+16<<10)
}

func (s *storage) put(t *testing.T, key string, content []byte) {
	t.Helper()
	s.putReader(t, key, bytes.NewReader(content), int64(len(content)))
}

func (s *storage) putReader(t *testing.T, key string, content io.Reader, size int64) {
	t.Helper()
	ctx := t.Context()
	if ok, err := s.client.BucketExists(ctx, bucket); err != nil {
		t.Fatal(err)
	} else if !ok {
		if err := s.client.MakeBucket(ctx, bucket, minio.MakeBucketOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.client.PutObject(ctx, bucket, key, content, size, minio.PutObjectOptions{}); err != nil {
		t.Fatalf("storing %s: %v", key, err)
	}
}

// putWatched stores a version of the tree that "app serve --watch" checks.
func (s *storage) putWatched(t *testing.T, prefix, version string) {
	t.Helper()
	content := version + "\n" + strings.Repeat(version[len(version)-1:], 64<<10)
	for _, name := range []string{"a.bin", "sub/b.bin"} {
		s.put(t, prefix+"/"+name, []byte(content))
	}
}

// zeros is an endless cheap stream for large objects; its bytes are not all
// alike, so that blocks in the wrong place are noticed.
type zeros struct{ n byte }

func (z *zeros) Read(p []byte) (int, error) {
	for i := 0; i < len(p); i += 4096 {
		p[i] = z.n
		z.n++
	}
	return len(p), nil
}

func (s *storage) putLarge(t *testing.T, key string, size int64) {
	t.Helper()
	s.putReader(t, key, io.LimitReader(&zeros{}, size), size)
}
