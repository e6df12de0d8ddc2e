// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package miniotest starts a real MinIO server for integration tests. Only
// tests import it.
package miniotest

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/freeport"
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
	// Roots has the certificate of a server with TLS, else it is nil.
	Roots *x509.CertPool
}

// Options change a server.
type Options struct {
	// Buckets to make.
	Buckets []string
	// Env are further settings, MINIO_…=….
	Env []string
	// Certificate and Key (PEM) make it a server with TLS.
	Certificate, Key []byte
}

// Start starts a server with the given buckets; it ends with the test. Without
// the binary the test fails.
func Start(t testing.TB, buckets ...string) *Server {
	t.Helper()
	return StartWith(t, Options{Buckets: buckets})
}

// StartWith is Start with options.
func StartWith(t testing.TB, o Options) *Server {
	t.Helper()
	binary := os.Getenv(EnvBinary)
	if binary == "" {
		t.Fatalf("set %s to the path of a minio binary", EnvBinary)
	}
	s := &Server{Dir: t.TempDir()}
	for _, bucket := range o.Buckets {
		if err := os.Mkdir(filepath.Join(s.Dir, bucket), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	certificates := s.writeCertificates(t, o)
	// A port that was free may be taken by the time that the server listens.
	for range 5 {
		s.Addr = freeAddr(t)
		cmd := exec.Command(binary, "server", "--quiet", "--address", s.Addr, "--console-address", freeAddr(t),
			"--certs-dir", certificates, s.Dir)
		cmd.Env = slices.Concat(os.Environ(), []string{"MINIO_ROOT_USER=" + AccessKey, "MINIO_ROOT_PASSWORD=" + SecretKey,
			"MINIO_UPDATE=off", "MINIO_BROWSER=off", "HOME=" + t.TempDir()}, o.Env)
		if s.startProcess(t, cmd) {
			return s
		}
	}
	t.Fatal("minio ended five times before it was ready")
	return nil
}

// startProcess starts the server and reports whether it became ready; false when it ended.
func (s *Server) startProcess(t testing.TB, cmd *exec.Cmd) bool {
	t.Helper()
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting minio: %v", err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it is killed
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("minio said:\n%s", output.String())
		}
	})
	return s.waitReady(t, ended)
}

// writeCertificates makes the directory of the server's certificate, if it has one.
func (s *Server) writeCertificates(t testing.TB, o Options) string {
	t.Helper()
	dir := t.TempDir()
	if o.Certificate == nil {
		return dir
	}
	s.Roots = x509.NewCertPool()
	s.Roots.AppendCertsFromPEM(o.Certificate)
	for name, content := range map[string][]byte{"public.crt": o.Certificate, "private.key": o.Key} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// URL is where the server answers.
func (s *Server) URL() string {
	if s.Roots != nil {
		return "https://" + s.Addr
	}
	return "http://" + s.Addr
}

// newTransport trusts the server's certificate.
func (s *Server) newTransport() *http.Transport {
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.Roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}
}

// waitReady waits until the server is ready or has ended, and reports whether it is
// ready.
func (s *Server) waitReady(t testing.TB, ended <-chan struct{}) (ready bool) {
	t.Helper()
	client := &http.Client{Transport: s.newTransport()}
	deadline := time.Now().Add(60 * time.Second)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ended:
			return false
		case <-ticker.C:
		}
		response, err := client.Get(s.URL() + "/minio/health/cluster")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return true
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("minio did not become ready: %v", err)
		}
	}
}

func freeAddr(t testing.TB) string {
	address, err := freeport.Loopback()
	if err != nil {
		t.Fatal(err)
	}
	return address
}
