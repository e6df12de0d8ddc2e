// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration && helm

package render_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/kuda-io/kuda/hack/chart/internal/render"
	"github.com/kuda-io/kuda/internal/apiservertest"
)

// helm is a program of Helm, and an API server of its own. Nothing runs there, so hooks
// are left out, and nothing is waited for; make e2e-helm has both.
type helm struct {
	t                   *testing.T
	program, kubeconfig string
}

func newHelm(t *testing.T) (*helm, *apiServer) {
	t.Helper()
	program := os.Getenv("KUDA_TEST_HELM")
	if program == "" {
		t.Fatal("KUDA_TEST_HELM does not name a helm: run the tests by \"make helm\"")
	}
	env := &envtest.Environment{ControlPlaneStartTimeout: startTimeout}
	config, stop, err := apiservertest.Start(env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	own, err := newAPIServer(config)
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, env.KubeConfig, 0o600); err != nil {
		t.Fatal(err)
	}
	return &helm{t: t, program: program, kubeconfig: kubeconfig}, own
}

// try runs helm and returns what it printed.
func (h *helm) try(args ...string) (string, error) {
	cmd := exec.CommandContext(h.t.Context(), h.program, args...)
	home := h.t.TempDir()
	cmd.Env = append(os.Environ(), "KUBECONFIG="+h.kubeconfig, "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (h *helm) run(args ...string) string {
	h.t.Helper()
	out, err := h.try(args...)
	if err != nil {
		h.t.Fatalf("helm %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func TestHelmInstallsOnceUpgradesGoesBackAndKeepsDataSets(t *testing.T) {
	h, server := newHelm(t)
	in := []string{"--namespace", "data-platform"}
	with := func(args ...string) []string { return append(args, in...) }

	out := h.run(with("install", "kuda", chartDir, "--create-namespace", "--no-hooks")...)
	if !strings.HasSuffix(strings.TrimSpace(out), "kubectl kuda doctor --system-namespace data-platform") {
		t.Errorf("the notes do not end in what to do next:\n%s", out)
	}

	out, err := h.try("install", "other", chartDir, "--namespace", "elsewhere", "--create-namespace", "--no-hooks")
	if err == nil || !strings.Contains(out, "by release kuda in namespace data-platform") {
		t.Errorf("a second installation: %v\n%s", err, out)
	}

	h.run(with("upgrade", "kuda", chartDir, "--no-hooks", "--set", "manager.replicas=3")...)
	h.run(with("rollback", "kuda", "1", "--no-hooks")...)
	if out, err = h.try(with("upgrade", "kuda", chartDir, "--no-hooks", "--set", "manager.replica=3")...); err == nil {
		t.Errorf("a misspelt value was taken:\n%s", out)
	}

	h.run(with("uninstall", "kuda", "--no-hooks")...)
	for _, name := range []string{"datasets", "datas", "nodestores"} {
		err := server.delete(t.Context(), definition(name), metav1.DeleteOptions{})
		if err == nil || apierrors.IsNotFound(err) || !strings.Contains(err.Error(), "kuda.io/allow-deletion") {
			t.Errorf("deleting %s after the release was uninstalled: %v", name, err)
		}
	}
}

func TestHelmTakesOverWhatKubectlApplied(t *testing.T) {
	h, server := newHelm(t)
	raw, err := os.ReadFile("../../../../install/kuda.yaml")
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := render.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range manifest {
		if err := server.apply(t.Context(), o, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	in := []string{"install", "kuda", chartDir, "--namespace", render.Namespace, "--no-hooks"}
	if out, err := h.try(in...); err == nil || !strings.Contains(out, "cannot be imported") {
		t.Errorf("Helm took over without being told: %v\n%s", err, out)
	}
	h.run(append(in, "--take-ownership", "--force-conflicts")...)
}

func TestHelmDeletesDataSetsWhereItWasToldSo(t *testing.T) {
	h, server := newHelm(t)
	h.run("install", "kuda", chartDir, "--namespace", "kuda", "--create-namespace", "--no-hooks", "--set", "crds.keep=false")
	h.run("uninstall", "kuda", "--namespace", "kuda", "--no-hooks")
	// The API server takes a moment to delete the objects of a definition before it.
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		return apierrors.IsNotFound(server.delete(ctx, definition("datasets"), metav1.DeleteOptions{})), nil
	})
	if err != nil {
		t.Errorf("the definition stays: %v", err)
	}
}

// definition names the CustomResourceDefinition of a kind of Kuda.
func definition(plural string) *unstructured.Unstructured {
	return mustParse("{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: " + plural + ".data.kuda.io}}")
}
