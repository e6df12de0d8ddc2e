// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package s3test starts real servers of S3 other than MinIO for integration tests.
// Only tests import it.
package s3test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// EnvCluster names the variable with the path of the kuda-cluster binary.
const EnvCluster = "KUDA_TEST_CLUSTER"

// Server is a running server with one bucket.
type Server struct {
	// Endpoint is http://host:port.
	Endpoint  string
	AccessKey string
	SecretKey string
	Region    string
	Bucket    string
}

// Addr is host:port.
func (s *Server) Addr() string { return strings.TrimPrefix(s.Endpoint, "http://") }

// The servers that there are.
const (
	Ceph    = "ceph"
	Moto    = "moto"
	S3Proxy = "s3proxy"
)

// Start starts a server; it ends with the test. Without the binary the test
// fails.
func Start(t testing.TB, kind string) *Server {
	t.Helper()
	binary := os.Getenv(EnvCluster)
	if binary == "" {
		t.Fatalf("set %s to the path of a kuda-cluster binary", EnvCluster)
	}
	cmd := exec.Command(binary, "storage", "run", kind, "--dir", t.TempDir())
	var problems bytes.Buffer
	cmd.Stderr = &problems
	in, err := cmd.StdinPipe() // its end ends the server
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting kuda-cluster: %v", err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("kuda-cluster: %v: %s", err, problems.String())
		}
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatalf("%s did not start: %s", kind, problems.String())
	}
	s := &Server{}
	if err := json.Unmarshal(line, s); err != nil {
		t.Fatalf("reading %q: %v", line, err)
	}
	return s
}
