// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package s3

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/sourcetest/miniotest"
)

// BenchmarkDownload reads one object over eight connections and throws it away.
// cpu-s/GB is what the reader costs: the server is another process.
func BenchmarkDownload(b *testing.B) {
	const size, connections = 1 << 30, 8
	s := benchmarked(b, "large", make([]byte, size))
	entry := listed(b, s, "large")
	b.SetBytes(size)
	before := cpu(b)
	for b.Loop() {
		var all sync.WaitGroup
		for i := range int64(connections) {
			all.Go(func() {
				body, err := s.Open(b.Context(), entry, i*size/connections, size/connections)
				if err != nil {
					b.Error(err)
					return
				}
				defer body.Close()
				for buffer := make([]byte, 1<<20); err == nil; {
					_, err = body.Read(buffer)
				}
				if !errors.Is(err, io.EOF) {
					b.Error(err)
				}
			})
		}
		all.Wait()
	}
	b.ReportMetric((cpu(b)-before).Seconds()/(float64(b.N)*size/1e9), "cpu-s/GB")
}

// BenchmarkSmallFiles reads a file of 10 KiB over and over.
func BenchmarkSmallFiles(b *testing.B) {
	const size = 10 << 10
	s := benchmarked(b, "small", make([]byte, size))
	entry := listed(b, s, "small")
	buffer := make([]byte, size)
	before := cpu(b)
	for b.Loop() {
		body, err := s.Open(b.Context(), entry, 0, size)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(body, buffer); err != nil {
			b.Fatal(err)
		}
		body.Close()
	}
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/file")
}

// BenchmarkListing lists a tree of two pages.
func BenchmarkListing(b *testing.B) {
	const objects = 2000
	s := benchmarked(b, "", nil)
	for i := range objects {
		key := fmt.Sprintf("tree/directory-%02d/file-%04d.bin", i%20, i)
		if _, err := s.signing.Load().client.Client.PutObject(b.Context(), bucket, key, nil, 0, minio.PutObjectOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	before := cpu(b)
	for b.Loop() {
		n := 0
		for _, err := range s.List(b.Context(), "tree/") {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != objects {
			b.Fatalf("listed %d", n)
		}
	}
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N*objects), "cpu-µs/file")
}

// benchmarked opens a source of a server, and stores an object there if it has a name.
func benchmarked(b *testing.B, key string, content []byte) *Source {
	b.Helper()
	server := miniotest.Start(b, bucket)
	if key != "" {
		server.Put(b, bucket, key, content)
	}
	s, err := New(Config{Endpoint: server.URL(), Bucket: bucket, PathStyle: true, Keys: keys(miniotest.SecretKey)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

func listed(b *testing.B, s *Source, path string) source.Entry {
	b.Helper()
	for entry, err := range s.List(b.Context(), path) {
		if err != nil {
			b.Fatal(err)
		}
		return entry
	}
	b.Fatalf("%s is not there", path)
	return source.Entry{}
}

// cpu is what this process has used, user and system.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
