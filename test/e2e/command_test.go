// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// kudaCommand runs kubectl kuda and returns what it printed.
func kudaCommand(t *testing.T, args ...string) string {
	t.Helper()
	out, code := kudaStatus(t, args...)
	if code != 0 {
		t.Fatalf("kubectl kuda %q ended with %d:\n%s", args, code, out)
	}
	return out
}

// kudaJSON runs a verb and reads its answer; the exit code says nothing here.
func kudaJSON(t *testing.T, into any, args ...string) {
	t.Helper()
	out, err := exec.Command(kudaBinary(), append(args, "-o", "json")...).Output()
	if jsonErr := json.Unmarshal(out, into); jsonErr != nil {
		t.Fatalf("kubectl kuda %q: %v, %v:\n%s", args, err, jsonErr, out)
	}
}

func kudaBinary() string {
	return filepath.Join(filepath.Dir(os.Getenv("KUDA_CLUSTER")), "kubectl-kuda")
}

// kudaStatus returns what it printed, and its exit code.
func kudaStatus(t *testing.T, args ...string) (string, int) {
	t.Helper()
	out, err := exec.Command(kudaBinary(), args...).CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	if failed != nil {
		return string(out), failed.ExitCode()
	}
	return string(out), 0
}

// managersRun waits until the manager's replicas are back.
func managersRun(t *testing.T) {
	t.Helper()
	componentRuns(t, "kuda-manager", 1)
}

// componentRuns waits until the replicas of a component are Ready, and so many
// processes of it run: a status may be older than what happened to them.
func componentRuns(t *testing.T, name string, processes int) {
	t.Helper()
	eventually(t, 2*time.Minute, func(ctx context.Context) error {
		var d appsv1.Deployment
		if err := kube.Get(ctx, client.ObjectKey{Namespace: systemNamespace, Name: name}, &d); err != nil {
			return err
		}
		if running := len(processesOf(name)); d.Status.ReadyReplicas != d.Status.Replicas || running < processes {
			return fmt.Errorf("%d of %d replicas of %s are ready, %d run", d.Status.ReadyReplicas, d.Status.Replicas, name, running)
		}
		return nil
	})
}
