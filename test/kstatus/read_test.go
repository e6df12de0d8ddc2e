// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package kstatus_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	// glance is for a condition that is not to be met: it is false now, and lasts.
	glance = "1s"
	// patience is longer than anything takes that is to come: status -w holds a failure for
	// final after 30 seconds without progress.
	patience = "2m"
)

// kubectl is the one of the API server's version.
func kubectl() string { return filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl") }

// run returns the exit code of a program that reads the cluster, and what it prints.
func (s *scene) run(program string, args ...string) (code int, output string) {
	s.t.Helper()
	// A program that does not end by its own time-out is a fault.
	ctx, cancel := context.WithTimeout(s.t.Context(), 4*time.Minute)
	defer cancel()
	args = append([]string{"--kubeconfig", s.kubeconfig, "-n", s.namespace}, args...)
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && ctx.Err() == nil {
		return exit.ExitCode(), string(out)
	}
	if err != nil {
		s.t.Errorf("%s %q: %v\n%s", filepath.Base(program), args, err, out)
	}
	return 0, string(out)
}

// checkWait asks kubectl wait whether a condition is met.
func (s *scene) checkWait(condition string, want bool) {
	s.t.Helper()
	timeout, code := glance, 1
	if want {
		timeout, code = patience, 0
	}
	got, out := s.run(kubectl(), "wait", "--for=condition="+condition, "--timeout="+timeout, "dataset/models")
	if got != code || code != 0 && !strings.Contains(out, "timed out waiting for the condition") {
		s.t.Errorf("kubectl wait --for=condition=%s ends with %d, want %d:\n%s", condition, got, code, out)
	}
}

// checkColumn looks for the column READY of kubectl get.
func (s *scene) checkColumn(want string) {
	s.t.Helper()
	code, out := s.run(kubectl(), "get", "dataset", "models")
	header, row, _ := strings.Cut(out, "\n")
	from := strings.Index(header, "READY")
	if code != 0 || from < 0 || len(row) < from {
		s.t.Errorf("kubectl get ends with %d:\n%s", code, out)
		return
	}
	got, _, _ := strings.Cut(row[from:], " ")
	if got != want {
		s.t.Errorf("READY %q, want %q:\n%s", got, want, out)
	}
}

// checkFollow runs the line of the documentation for pipelines.
func (s *scene) checkFollow(want int, flags ...string) {
	s.t.Helper()
	timeout := patience
	if want == waits {
		timeout = "3s"
	}
	code, out := s.run(os.Getenv("KUDA_TEST_CLI"), append([]string{"status", "-w", "models", "--timeout", timeout}, flags...)...)
	if code != want || !strings.HasPrefix(out, "dataset/models: waiting for the delivery of generation ") {
		s.t.Errorf("status -w ends with %d, want %d:\n%s", code, want, out)
	}
}

// checkReaders runs all of them at once: some wait for longer than a minute.
func (s *scene) checkReaders(want outcome, code int, flags ...string) {
	s.t.Helper()
	var all sync.WaitGroup
	for _, check := range []func(){
		func() { s.checkWait("Ready", want.ready) },
		func() { s.checkWait("Reconciling=false", want.settled) },
		func() { s.checkWait("Stalled", want.stalled) },
		func() { s.checkColumn(want.column) },
		func() { s.checkFollow(code, flags...) },
	} {
		all.Go(check)
	}
	all.Wait()
}
