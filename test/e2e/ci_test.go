// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// pipeline runs the line of docs/cli.md as a CI job does, with a DataSet in a file.
// It returns the exit code, and the lines that kubectl kuda printed.
func pipeline(t *testing.T, ds *v1alpha1.DataSet, flags string) (code int, lines []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "models.yaml")
	written := &v1alpha1.DataSet{Spec: ds.Spec}
	written.APIVersion, written.Kind = v1alpha1.GroupVersion.String(), "DataSet"
	written.Name, written.Namespace = ds.Name, ds.Namespace
	content, err := yaml.Marshal(written)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	line := fmt.Sprintf("kubectl apply -f %s >&2 && kubectl kuda -n %s status -w %s %s", file, ds.Namespace, ds.Name, flags)
	run := exec.Command("sh", "-c", line)
	run.Env = append(os.Environ(), "PATH="+filepath.Dir(kudaBinary())+":"+os.Getenv("PATH"))
	var said strings.Builder
	run.Stderr = &said
	out, err := run.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s\nexit code %d\n%s%s", line, code, &said, out)
	lines = strings.Split(strings.TrimSpace(string(out)), "\n")
	// What is said of an error is the last thing that is said.
	for said := range strings.Lines(said.String()) {
		if strings.HasPrefix(said, "error: ") {
			lines = append(lines, strings.TrimSpace(said))
		}
	}
	return code, lines
}

// wantEnd holds the promise that docs/cli.md makes of the line.
func wantEnd(t *testing.T, ds *v1alpha1.DataSet, flags string, generation int64, want int, last string) {
	t.Helper()
	code, lines := pipeline(t, ds, flags)
	first := fmt.Sprintf("dataset/%s: waiting for the delivery of generation %d", ds.Name, generation)
	if code != want || lines[0] != first || !regexp.MustCompile(last).MatchString(lines[len(lines)-1]) {
		t.Errorf("exit code %d, the first line %q, the last %q; want %d, %q, %q", code, lines[0], lines[len(lines)-1], want, first, last)
	}
}

// TestAPipelineLearnsWhatBecameOfAFirstDelivery applies a DataSet beside pods that are
// made a moment later, as one file of a release does.
func TestAPipelineLearnsWhatBecameOfAFirstDelivery(t *testing.T) {
	store.putWatched(t, "ci/v1", "v1")
	for _, test := range []struct {
		name  string
		pods  int32
		flags string
		spoil func(t *testing.T, ds *v1alpha1.DataSet)
		code  int
		// last is a pattern of the last line. A pod that tries once more at that moment is
		// not among those that failed.
		last string
	}{
		{"success", 3, "--timeout 5m", func(*testing.T, *v1alpha1.DataSet) {}, 0, ": delivered: revision 1: 3 of 3 pods have it"},
		{"wrong-path", 3, "--timeout 5m", func(_ *testing.T, ds *v1alpha1.DataSet) {
			ds.Spec.Template.DataItems[0].RemotePath = "ci/nowhere"
		}, 1, ": failed: revision 1: NotFound: [23] pods failed, the first: pod ci-"},
		{"wrong-secret", 3, "--timeout 6m", func(t *testing.T, ds *v1alpha1.DataSet) {
			secret := &corev1.Secret{}
			secret.Namespace, secret.Name = ds.Namespace, credentials
			patch := client.RawPatch("application/merge-patch+json", []byte(`{"stringData":{"secretKey":"not-the-key"}}`))
			if err := kube.Patch(t.Context(), secret, patch); err != nil {
				t.Fatal(err)
			}
		}, 1, ": failed: revision 1: AccessDenied: [23] pods failed, the first: pod ci-"},
		{"hook-failure", 2, "--timeout 5m", func(_ *testing.T, ds *v1alpha1.DataSet) {
			ds.Spec.Template.DataItems[0].Lifecycle = &v1alpha1.Lifecycle{PostDownload: &v1alpha1.LifecycleHandler{
				Exec: &corev1.ExecAction{Command: []string{"/e2e-app", "fail", "no such index"}}}}
		}, 1, "HookFailed"},
		{"no-pods", 0, "--timeout 20s", func(*testing.T, *v1alpha1.DataSet) {}, 3, "NoPods"},
		{"none-needed", 0, "--timeout 1m --allow-no-pods", func(*testing.T, *v1alpha1.DataSet) {}, 0, ": no pods: no running pod"},
		{"time-out", 2, "--timeout 20s", func(_ *testing.T, ds *v1alpha1.DataSet) {
			ds.Spec.Template.DataSources.MinIO.Endpoint = "http://" + bridgeAddress + ":1"
		}, 3, "was not delivered within 20s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ds := dataSet(newNamespace(t, nil), "ci", item("x", "ci/v1/", "v1"))
			test.spoil(t, ds)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if test.pods > 0 {
				go deployOnceApplied(ctx, ds, test.pods)
			}
			wantEnd(t, ds, test.flags, 1, test.code, test.last)
		})
	}
}

// deployOnceApplied makes a Deployment a second after its DataSet is there, whenever the
// pipeline comes to apply that: the pipeline is to wait already when the pods come. It runs
// beside the test, so it may not end it as eventually does.
func deployOnceApplied(ctx context.Context, ds *v1alpha1.DataSet, pods int32) {
	for kube.Get(ctx, client.ObjectKeyFromObject(ds), &v1alpha1.DataSet{}) != nil {
		if ctx.Err() != nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	time.Sleep(time.Second)
	_ = kube.Create(ctx, deployment(ds.Namespace, ds.Name, pods, "wait")) // the test sees that there are none
}

// TestAPipelineLearnsWhatBecameOfARollout applies the next versions of one that works.
func TestAPipelineLearnsWhatBecameOfARollout(t *testing.T) {
	f := newFleet(t, "ci", 2, nil)
	next := func(t *testing.T, version string, change func(*v1alpha1.DataSetSpec)) *v1alpha1.DataSet {
		t.Helper()
		f.put(t, version)
		ds, err := f.get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		i := &ds.Spec.Template.DataItems[0]
		i.Version, i.RemotePath, i.Lifecycle = version, f.prefix+version+"/", nil
		change(&ds.Spec)
		return ds
	}
	after := func(ds *v1alpha1.DataSet) int64 { return ds.Generation + 1 }

	ds := next(t, "v2", func(*v1alpha1.DataSetSpec) {})
	wantEnd(t, ds, "--timeout 2m", after(ds), 0, ": delivered: revision 2: 2 of 2 pods have it")

	ds = next(t, "v3", func(spec *v1alpha1.DataSetSpec) {
		spec.FailurePolicy = v1alpha1.FailurePolicyRollback
		spec.Template.DataItems[0].RemotePath = f.prefix + "nowhere/"
	})
	wantEnd(t, ds, "--timeout 2m", after(ds), 1, ": failed: revision 3: ")

	ds = next(t, "v4", func(spec *v1alpha1.DataSetSpec) {
		spec.UpdateStrategy.Steps = []v1alpha1.RolloutStep{share("50%"), {Pause: &v1alpha1.PauseStep{}}}
	})
	wantEnd(t, ds, "--timeout 30s", after(ds), 3, "StepPaused")

	// The line ends well for who only waits until the pause is over.
	kudaCommand(t, "-n", f.ns, "promote", "ci")
	if out, code := kudaStatus(t, "-n", f.ns, "status", "-w", "ci", "--timeout", "2m"); code != 0 {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	f.waitVersions(t, map[string]int{"v4": 2}, 5*time.Second)
	f.checkSamples(t)
}

// TestUndoAfterAFirstDeliveryThatFailedHasNothingToGoBackTo corrects a wrong path with
// another wrong path: no revision ever worked.
func TestUndoAfterAFirstDeliveryThatFailedHasNothingToGoBackTo(t *testing.T) {
	ds := dataSet(newNamespace(t, nil), "ci", item("x", "ci/nowhere/", "v1"))
	ds.Spec.StartPolicy = v1alpha1.StartPolicyImmediately
	create(t, ds)
	create(t, deployment(ds.Namespace, ds.Name, 1, "wait"))
	waitItem(t, ds.Namespace, v1alpha1.ReasonNotFound, time.Minute)
	setVersion(t, ds, 0, "v2", "ci/elsewhere/")
	waitItem(t, ds.Namespace, v1alpha1.ReasonNotFound, time.Minute)
	out, code := kudaStatus(t, "-n", ds.Namespace, "undo", "ci")
	if code != 1 || !strings.Contains(out, "there is nothing to go back to") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	out, _ = kudaStatus(t, "-n", ds.Namespace, "history", "ci")
	if strings.Contains(out, "Succeeded") {
		t.Errorf("no revision succeeded:\n%s", out)
	}
	for _, verb := range []string{"status", "doctor"} {
		if out, _ = kudaStatus(t, "-n", ds.Namespace, verb, "ci"); strings.Contains(out, "Completed") {
			t.Errorf("%s calls it Completed:\n%s", verb, out)
		}
	}
}

// TestRolesOfANamespaceAreToldWhatTheyMayNotRead runs the commands as a user with the
// role view, and as one with no role.
func TestRolesOfANamespaceAreToldWhatTheyMayNotRead(t *testing.T) {
	f := newFleet(t, "ci", 1, nil)
	kubectl(t, "-n", f.ns, "create", "rolebinding", "viewer", "--clusterrole", "view", "--user", "viewer")
	as := func(user string, args ...string) (string, int) {
		return kudaStatus(t, append([]string{"-n", f.ns, "--as", user}, args...)...)
	}
	if out, code := as("viewer", "why", f.pods(t)[0].Name); code != 0 || !strings.Contains(out, "Left out") ||
		!strings.Contains(out, "Placed") {
		t.Errorf("why: exit code %d:\n%s", code, out)
	}
	if out, code := as("viewer", "status", "ci"); code != 0 || !strings.Contains(out, "1/1") {
		t.Errorf("status: exit code %d:\n%s", code, out)
	}
	if out, code := as("stranger", "doctor"); code != 2 || !strings.Contains(out, "nothing could be looked at") {
		t.Errorf("doctor: exit code %d:\n%s", code, out)
	}
}
