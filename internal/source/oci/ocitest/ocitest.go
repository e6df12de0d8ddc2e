// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ocitest starts a real OCI registry for integration tests, and pushes
// to it. Only tests import it.
package ocitest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"testing"
	"time"
)

// EnvCluster names the variable with the path of the kuda-cluster binary.
const EnvCluster = "KUDA_TEST_CLUSTER"

// stopLimit is how long the registry may take to end.
const stopLimit = 30 * time.Second

// Registry is a running registry, which speaks plain HTTP.
type Registry struct {
	// Addr is host:port.
	Addr string `json:"address"`
	// User and Password, with auth=true.
	User     string `json:"user"`
	Password string `json:"password"`
}

// Start starts a registry with settings of the form name=value; it ends with the
// test. Without the binary the test fails.
func Start(t testing.TB, settings ...string) *Registry {
	t.Helper()
	binary := os.Getenv(EnvCluster)
	if binary == "" {
		t.Fatalf("set %s to the path of the kuda-cluster binary", EnvCluster)
	}
	args := []string{"storage", "run", "registry", "--dir", t.TempDir()}
	for _, setting := range settings {
		args = append(args, "--set", setting)
	}
	cmd := exec.Command(binary, args...)
	var output bytes.Buffer
	cmd.Stderr = &output
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting the registry: %v", err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		timer := time.AfterFunc(stopLimit, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		timer.Stop()
		if t.Failed() {
			t.Logf("the registry said:\n%s", output.String())
		}
	})
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		t.Fatalf("waiting for the registry: %v", err)
	}
	r := &Registry{}
	if err := json.Unmarshal(line, r); err != nil {
		t.Fatalf("the registry announced itself with %q: %v", line, err)
	}
	return r
}
