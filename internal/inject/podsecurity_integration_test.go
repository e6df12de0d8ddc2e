// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package inject

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/kuda-io/kuda/internal/apiservertest"
)

// baselineByDefault is a configuration of the API server as Talos has it.
const baselineByDefault = `apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: PodSecurity
  configuration:
    apiVersion: pod-security.admission.config.k8s.io/v1
    kind: PodSecurityConfiguration
    defaults: {enforce: baseline, enforce-version: latest}
    exemptions: {namespaces: [kube-system]}
`

// TestPodsAreAdmittedWhereTheAPIServerItselfEnforcesALevel tries each way in which an
// installation can have stores, in a namespace without labels.
func TestPodsAreAdmittedWhereTheAPIServerItselfEnforcesALevel(t *testing.T) {
	file := filepath.Join(t.TempDir(), "admission.yaml")
	if err := os.WriteFile(file, []byte(baselineByDefault), 0o600); err != nil {
		t.Fatal(err)
	}
	environment := &envtest.Environment{}
	environment.ControlPlane.GetAPIServer().Configure().Set("admission-control-config-file", file)
	config, stop, err := apiservertest.Start(environment)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stop() })
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	n := newNamespace(t, c, nil)
	if err := c.Create(t.Context(), injectedIn(t, n), client.DryRunAll); err == nil || !strings.Contains(err.Error(), "violates PodSecurity") {
		t.Fatalf("the API server does not enforce the level: %v", err)
	}
	if err := c.Create(t.Context(), drivenIn(t, n), client.DryRunAll); err != nil {
		t.Errorf("with kuda-node: %v", err)
	}
	req := request(pod())
	req.Pod.Namespace, req.Pod.Spec.ServiceAccountName = n.Name, "default"
	req.Namespace, req.Settings.SecurityDefault = n, "baseline"
	if err := c.Create(t.Context(), mustInject(t, req), client.DryRunAll); err != nil {
		t.Errorf("with the level in the configuration: %v", err)
	}
}
