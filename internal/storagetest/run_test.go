// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// program writes a shell script that stands for kuda-cluster.
func program(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cluster")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAServerRunsUntilItIsStopped(t *testing.T) {
	ended := filepath.Join(t.TempDir(), "ended")
	var server struct{ Args string }
	stop, err := Run(program(t, `echo "{\"args\": \"$*\"}"; cat >/dev/null; touch `+ended), &server,
		append([]string{"moto"}, Flags([]string{"bucket=b"})...)...)
	if err != nil || server.Args != "storage run moto --set bucket=b" {
		t.Fatalf("%+v, %v", server, err)
	}
	if _, err := os.Stat(ended); err == nil {
		t.Error("it ended by itself")
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(ended); err != nil {
		t.Errorf("stopped before it cleaned up: %v", err)
	}
}

func TestAServerThatFailsSaysWhy(t *testing.T) {
	for name, script := range map[string]string{
		"at the start": "echo no room >&2; exit 1",
		"in its words": "echo no JSON; echo no room >&2; exit 1",
	} {
		if _, err := Run(program(t, script), &struct{}{}, "ceph"); err == nil || !strings.Contains(err.Error(), "ceph") ||
			!strings.Contains(err.Error(), "no room") {
			t.Errorf("%s: %v", name, err)
		}
	}
	stop, err := Run(program(t, "echo '{}'; cat >/dev/null; echo lost data >&2; exit 1"), &struct{}{}, "ceph")
	if err != nil {
		t.Fatal(err)
	}
	if err := stop(); err == nil || !strings.Contains(err.Error(), "lost data") {
		t.Errorf("at the end: %v", err)
	}
}
