// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package miniotest starts a real MinIO server for integration tests. Only
// tests import it.
package miniotest

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// EnvBinary names the variable with the path of the minio binary.
const EnvBinary = "KUDA_TEST_MINIO"

// The keys of the server's administrator.
const (
	AccessKey = "kuda-test"
	SecretKey = "kuda-test-secret"
)

// Server is a running MinIO.
type Server struct {
	// Addr is host:port, Dir where its buckets are directories.
	Addr, Dir string
}

// Start starts a server with the given buckets; it ends with the test. Without
// the binary the test fails.
func Start(t testing.TB, buckets ...string) *Server {
	t.Helper()
	binary := os.Getenv(EnvBinary)
	if binary == "" {
		t.Fatalf("set %s to the path of a minio binary", EnvBinary)
	}
	s := &Server{Addr: freeAddr(t), Dir: t.TempDir()}
	for _, bucket := range buckets {
		if err := os.Mkdir(filepath.Join(s.Dir, bucket), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(binary, "server", "--quiet", "--address", s.Addr, "--console-address", freeAddr(t), s.Dir)
	cmd.Env = append(os.Environ(), "MINIO_ROOT_USER="+AccessKey, "MINIO_ROOT_PASSWORD="+SecretKey,
		"MINIO_UPDATE=off", "MINIO_BROWSER=off", "HOME="+t.TempDir())
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting minio: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("minio said:\n%s", output.String())
		}
	})
	s.wait(t)
	return s
}

// wait returns when the server is ready.
func (s *Server) wait(t testing.TB) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for range ticker.C {
		response, err := http.Get("http://" + s.Addr + "/minio/health/cluster")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("minio did not become ready: %v", err)
		}
	}
}

func freeAddr(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
