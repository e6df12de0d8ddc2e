// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/kuda-io/kuda/hack/cluster/internal/build"
	"github.com/kuda-io/kuda/hack/cluster/internal/process"
	"github.com/kuda-io/kuda/hack/cluster/internal/topology"
)

//go:embed dns.yaml
var dnsTemplate string

// DNSManifests are the objects of the cluster's DNS for a cluster of count
// nodes.
func DNSManifests(count int) (string, error) {
	t, err := template.New("dns").Option("missingkey=error").Parse(dnsTemplate)
	if err != nil {
		return "", fmt.Errorf("reading the DNS manifests: %w", err)
	}
	var out bytes.Buffer
	err = t.Execute(&out, map[string]any{
		"Domain":   topology.Domain,
		"Address":  topology.DNSServiceAddress,
		"Image":    build.CorednsImage,
		"Replicas": min(2, count),
	})
	if err != nil {
		return "", fmt.Errorf("making the DNS manifests: %w", err)
	}
	return out.String(), nil
}

// policyManifests are the rights of the nodes' enforcers of NetworkPolicies.
//
//go:embed policy.yaml
var policyManifests string

// ApplyAddons puts the cluster's DNS into Kubernetes, which becomes ready when
// there is a node to run on, and the rights of what nodes run.
func (c ControlPlane) ApplyAddons(ctx context.Context, count int) error {
	manifests, err := DNSManifests(count)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(c.Tools.Bin(), "kubectl"),
		"--kubeconfig="+c.State.Kubeconfig(), "--cache-dir="+c.State.KubectlCache(),
		"apply", "--server-side", "--field-manager=kuda-cluster", "-f", "-")
	cmd.Env = process.Environment(c.Tools.Bin())
	cmd.Stdin = strings.NewReader(policyManifests + "\n---\n" + manifests)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("installing DNS and rights: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
