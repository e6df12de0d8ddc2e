// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cephtest starts a real Ceph with its S3 service for integration tests.
// Only tests import it.
package cephtest

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

// Server is a running Ceph with one bucket.
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

// Start starts a server; it ends with the test. Without the binary the test
// fails.
func Start(t testing.TB) *Server {
	t.Helper()
	binary := os.Getenv(EnvCluster)
	if binary == "" {
		t.Fatalf("set %s to the path of a kuda-cluster binary", EnvCluster)
	}
	cmd := exec.Command(binary, "storage", "run", "ceph", "--dir", t.TempDir())
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
		t.Fatalf("Ceph did not start: %s", problems.String())
	}
	s := &Server{}
	if err := json.Unmarshal(line, s); err != nil {
		t.Fatalf("reading %q: %v", line, err)
	}
	return s
}
