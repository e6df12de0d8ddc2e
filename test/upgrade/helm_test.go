// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package upgrade

import (
	"context"
	"os"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// helmFromEnvironment returns the program that a variable names.
func helmFromEnvironment(t *testing.T, variable string) Helm {
	t.Helper()
	program := os.Getenv(variable)
	if program == "" {
		t.Fatalf("%s does not name a helm: run by make e2e-helm", variable)
	}
	return Helm{Program: program, Chart: "../../charts/kuda"}
}

func TestRunningPodsDoNotNoticeHelm(t *testing.T) { testHelm(t, "KUDA_TEST_HELM") }

// testHelm takes an installation of the earlier release over, while pods read, upgrades
// it while a rollout runs, goes back, and uninstalls it. The installation of the working
// tree's manifest is what it leaves.
func testHelm(t *testing.T, variable string) {
	earlier, later := releaseFrom(t, "KUDA_UPGRADE_FROM"), releaseFrom(t, "KUDA_UPGRADE_TO")
	helm := helmFromEnvironment(t, variable)
	ctx, kube, storage := t.Context(), newKube(t), newStorage(t)
	var (
		outer = t
		l     *Load
		w     *Witness
	)
	phase(t, "the earlier release delivers", func(t *testing.T) {
		must(t, helm.Uninstall(ctx)) // of a run that failed
		must(t, RemoveBeyond(ctx, later, earlier))
		must(t, Install(ctx, earlier))
		var err error
		l, err = NewLoad(ctx, kube, storage)
		must(t, err)
		outer.Cleanup(func() { finish(outer, l); leaveManifest(outer, helm, later) })
		must(t, l.Start(ctx, "public-earlier", Public, node, readers))
		must(t, l.Start(ctx, "private-earlier", Private, node, readers))
		delivered(t, l, "v1", readers)
		w, err = l.Watch(ctx)
		must(t, err)
	})
	phase(t, "Helm takes over what kubectl applied", func(t *testing.T) {
		must(t, helm.TakeOver(ctx))
		must(t, w.Check(ctx))
		must(t, l.SetVersion(ctx, "v2"))
		delivered(t, l, "v2", readers)
		must(t, w.Check(ctx))
	})
	phase(t, "a second installation is refused, and the first one named", func(t *testing.T) {
		err := helm.Install(ctx, "other", "kuda-other")
		if err == nil || !strings.Contains(err.Error(), "by release kuda in namespace "+systemNamespace) {
			t.Fatalf("got %v", err)
		}
		_, _ = kubectl(ctx, nil, "delete", "namespace", "kuda-other", "--ignore-not-found", "--wait=false")
	})
	phase(t, "an upgrade while a rollout runs", func(t *testing.T) {
		must(t, l.SetVersion(ctx, "v3"))
		must(t, helm.Upgrade(ctx, "manager.replicas=3"))
		delivered(t, l, "v3", readers)
		must(t, w.Check(ctx))
	})
	phase(t, "and back, while another one runs", func(t *testing.T) {
		must(t, l.SetVersion(ctx, "v4"))
		must(t, helm.Rollback(ctx, 1))
		delivered(t, l, "v4", readers)
		must(t, w.Check(ctx))
	})
	phase(t, "uninstalling leaves DataSets, and pods their data", func(t *testing.T) {
		must(t, helm.Uninstall(ctx))
		for _, name := range []string{Public, Private} {
			must(t, kube.Get(ctx, client.ObjectKey{Namespace: l.Namespace(), Name: name}, &v1alpha1.DataSet{}))
		}
		must(t, w.Check(ctx))
	})
	phase(t, "a definition is not deleted by accident, also without Kuda", func(t *testing.T) {
		out, err := kubectl(ctx, nil, "delete", "crd", "datasets.data.kuda.io")
		if err == nil || !strings.Contains(out, "kuda.io/allow-deletion") {
			t.Fatalf("%v\n%s", err, out)
		}
	})
	phase(t, "installed again, it goes on", func(t *testing.T) {
		must(t, helm.Install(ctx, releaseName, systemNamespace))
		must(t, l.SetVersion(ctx, "v5"))
		delivered(t, l, "v5", readers)
		must(t, w.Check(ctx))
	})
}

// TestAnotherNamespaceWorks installs Kuda elsewhere than usual, by Helm.
func TestAnotherNamespaceWorks(t *testing.T) {
	later := releaseFrom(t, "KUDA_UPGRADE_TO")
	helm := helmFromEnvironment(t, "KUDA_TEST_HELM")
	ctx, kube, storage := t.Context(), newKube(t), newStorage(t)
	const elsewhere = "data-platform"
	must(t, helm.Uninstall(ctx))
	must(t, Uninstall(ctx, later))
	t.Cleanup(func() {
		ctx := context.Background() // the test's own has ended
		if _, err := helm.run(ctx, elsewhere, "uninstall", releaseName, "--wait", helmPatience); err != nil {
			t.Error(err)
		}
		_, _ = kubectl(ctx, nil, "delete", "namespace", elsewhere, "--ignore-not-found")
		leaveManifest(t, helm, later)
	})
	// The definitions that another release left are this one's now.
	_, err := helm.run(ctx, elsewhere, "install", releaseName, helm.Chart, "--create-namespace", "--take-ownership", "--wait", helmPatience)
	must(t, err)
	l, err := NewLoad(ctx, kube, storage)
	must(t, err)
	t.Cleanup(func() { finish(t, l) })
	must(t, l.Start(ctx, "public", Public, node, readers))
	must(t, l.Start(ctx, "private", Private, node, readers))
	delivered(t, l, "v1", readers)
	must(t, l.SetVersion(ctx, "v2"))
	delivered(t, l, "v2", readers)
}

// leaveManifest installs the release as kubectl applies it, for the tests that follow.
func leaveManifest(t *testing.T, helm Helm, r Release) {
	ctx := context.Background() // the test's own has ended
	if err := helm.Uninstall(ctx); err != nil && !apierrors.IsNotFound(err) {
		t.Error(err)
	}
	if err := Install(ctx, r); err != nil {
		t.Error(err)
	}
}
