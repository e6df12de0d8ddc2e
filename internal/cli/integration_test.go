// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package cli_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/domain/revision"
	"github.com/kuda-io/kuda/internal/manager/managertest"
)

var server *managertest.Cluster

func TestMain(m *testing.M) {
	var err error
	if server, err = managertest.NewCluster(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := server.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// TestAnAPIServerAcceptsThePatchesOfTheCommands plays the manager by hand: what is tested
// is that the server takes the command line's patches as they are meant.
func TestAnAPIServerAcceptsThePatchesOfTheCommands(t *testing.T) {
	namespace, path, ctx := server.Namespace(t), server.Kubeconfig(t), t.Context()
	run := func(args ...string) (string, int) {
		t.Helper()
		var out bytes.Buffer
		f := frame.New(frame.Streams{In: strings.NewReader(""), Out: &out, ErrOut: &out})
		code := cli.Run(ctx, f, append([]string{"kuda", "--kubeconfig", path, "--context", "test", "-n", namespace}, args...))
		return out.String(), code
	}
	d := server.DataSet(t, namespace, "models", "web", func(d *v1alpha1.DataSet) {
		d.Annotations = map[string]string{v1alpha1.AnnotationChangeCause: "first"}
		d.Spec.UpdateStrategy = v1alpha1.UpdateStrategy{Type: v1alpha1.RollingUpdateStrategyType,
			Steps: []v1alpha1.RolloutStep{{Pause: &v1alpha1.PauseStep{}}}}
	})
	first := revise(t, d, 1)
	d.Spec.Template.DataItems[0].Version = "v2"
	d.Annotations[v1alpha1.AnnotationChangeCause] = "second"
	if err := server.Client.Update(ctx, d); err != nil {
		t.Fatal(err)
	}
	second := revise(t, d, 2)
	d.Status = v1alpha1.DataSetStatus{
		ObservedGeneration: d.Generation, CurrentRevision: first, UpdateRevision: second,
		Rollout: &v1alpha1.RolloutStatus{Revision: second, Phase: v1alpha1.RolloutProgressing},
	}
	if err := server.Client.Status().Update(ctx, d); err != nil {
		t.Fatal(err)
	}

	if out, code := run("promote", "models", "--wait=false"); code != 0 {
		t.Errorf("promote: %s", out)
	}
	reread(t, d)
	if r := d.Annotations[v1alpha1.AnnotationRolloutRequest]; !strings.HasPrefix(r, "promote "+second+" ") {
		t.Errorf("the request is %q", r)
	}
	if out, code := run("status", "models"); code != 0 || !strings.Contains(out, "step 1 of 1 (pause)") {
		t.Errorf("status: %s", out)
	}
	if out, code := run("undo", "models", "--dry-run=server", "-o", "yaml"); code != 0 || !strings.Contains(out, "version: v1") {
		t.Errorf("undo --dry-run=server: %s", out)
	}
	if reread(t, d); d.Spec.Template.DataItems[0].Version != "v2" {
		t.Error("a dry run changed the template")
	}
	if out, code := run("undo", "models"); code != 0 {
		t.Errorf("undo: %s", out)
	}
	reread(t, d)
	if v, cause := d.Spec.Template.DataItems[0].Version, d.Annotations[v1alpha1.AnnotationChangeCause]; v != "v1" || cause != "first" {
		t.Errorf("after undo the version is %s, of %q", v, cause)
	}
	if !managedBy(d, frame.Manager) {
		t.Errorf("the managed fields do not name %s: %v", frame.Manager, d.ManagedFields)
	}
	if out, code := run("pause", "models"); code != 0 {
		t.Errorf("pause: %s", out)
	}
	if reread(t, d); !d.Spec.Paused {
		t.Error("it is not paused")
	}
	if out, code := run("status", "none"); code != frame.ExitError ||
		!strings.Contains(out, "there is no DataSet none in namespace "+namespace) {
		t.Errorf("status of none: exit code %d, %s", code, out)
	}
	if out, code := run("status", "-w", "models", "--timeout", "1s"); code != frame.ExitTimeout ||
		!strings.Contains(out, "waits for the manager") {
		t.Errorf("following: exit code %d, %s", code, out)
	}
}

// TestUndoOfAStaleDataSetIsAConflict holds what undo relies on: the server
// refuses a JSON patch with an old resourceVersion, and does not retry it.
func TestUndoOfAStaleDataSetIsAConflict(t *testing.T) {
	d := server.DataSet(t, server.Namespace(t), "models", "web")
	stale := d.ResourceVersion
	d.Spec.Paused = true
	if err := server.Client.Update(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	patch := fmt.Appendf(nil, `[{"op":"replace","path":"/metadata/resourceVersion","value":%q},{"op":"replace","path":"/spec/paused",`+
		`"value":false}]`, stale)
	err := server.Client.Patch(t.Context(), d, client.RawPatch("application/json-patch+json", patch))
	if !apierrors.IsConflict(err) {
		t.Errorf("got %v, want a conflict", err)
	}
}

func revise(t *testing.T, d *v1alpha1.DataSet, number int64) string {
	t.Helper()
	r, err := revision.New(d, number, 0)
	if err != nil {
		t.Fatal(err)
	}
	metav1.SetMetaDataAnnotation(&r.ObjectMeta, revision.AnnotationReached, revision.ReachedDelivered)
	controller := true
	r.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "DataSet", Name: d.Name, UID: d.UID, Controller: &controller,
	}}
	if err := server.Client.Create(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return r.Name
}

func reread(t *testing.T, d *v1alpha1.DataSet) {
	t.Helper()
	key := client.ObjectKeyFromObject(d)
	*d = v1alpha1.DataSet{}
	if err := server.Client.Get(t.Context(), key, d); err != nil {
		t.Fatal(err)
	}
}

func managedBy(d *v1alpha1.DataSet, manager string) bool {
	for _, entry := range d.ManagedFields {
		if entry.Manager == manager {
			return true
		}
	}
	return false
}
