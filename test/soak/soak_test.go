//go:build integration

// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/manager/managertest"
)

var (
	cluster *managertest.Cluster
	// hostile is the processor of the attackers.
	hostile unix.CPUSet
)

func TestMain(m *testing.M) {
	if spec := os.Getenv(envFlood); spec != "" {
		if err := attack(spec); err != nil {
			fmt.Fprintln(os.Stderr, "attacking:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(withCluster(m))
}

func withCluster(m *testing.M) int {
	var err error
	if hostile, err = attackersProcessor(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if cluster, err = managertest.NewCluster(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = cluster.Stop() }()
	return m.Run()
}

// length returns how long the flood lasts, and whether times count.
func length(t *testing.T) (flooded time.Duration, timed bool) {
	t.Helper()
	text := os.Getenv("KUDA_SOAK")
	if text == "" {
		return time.Minute, false
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 10*time.Second {
		t.Fatalf("KUDA_SOAK is %q; it must be at least 10s, such as 5m", text)
	}
	return d, true
}

func TestWhoIsServedNoticesNothingOfAFlood(t *testing.T) {
	flooded, timed := length(t)
	w := newWorld(t)
	calls := w.calls(t)
	quiet := measure(t, calls, min(flooded/2, time.Minute))
	var attacking []*exec.Cmd
	for _, f := range w.floods(flooded + 2*time.Second) {
		attacking = append(attacking, f.start(t, hostile))
	}
	beside := measure(t, calls, flooded)
	for _, a := range attacking {
		if err := a.Wait(); err != nil {
			t.Errorf("an attacker: %v", err)
		}
	}
	compare(t, calls, quiet, beside, timed)
	for _, p := range w.processes {
		p.check(t)
	}
}
