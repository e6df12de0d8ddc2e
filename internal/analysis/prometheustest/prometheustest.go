// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package prometheustest starts a real Prometheus server for integration tests. Only
// tests import it.
package prometheustest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"testing"
)

// EnvCluster names the variable with the path of the kuda-cluster binary.
const EnvCluster = "KUDA_TEST_CLUSTER"

// Server is a running server, which looks at its targets every second.
type Server struct {
	// URL is http://host:port.
	URL string `json:"url"`
}

// Start starts a server with targets of the form job=host:port; it ends with the
// test. Without the binary the test fails.
func Start(t testing.TB, targets ...string) *Server {
	t.Helper()
	binary := os.Getenv(EnvCluster)
	if binary == "" {
		t.Fatalf("set %s to the path of a kuda-cluster binary", EnvCluster)
	}
	args := []string{"storage", "run", "prometheus", "--dir", t.TempDir()}
	for _, target := range targets {
		args = append(args, "--set", target)
	}
	cmd := exec.Command(binary, args...)
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
		t.Fatalf("Prometheus did not start: %s", problems.String())
	}
	s := &Server{}
	if err := json.Unmarshal(line, s); err != nil {
		t.Fatalf("reading %q: %v", line, err)
	}
	return s
}
