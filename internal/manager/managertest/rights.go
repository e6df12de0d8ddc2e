// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package managertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// systemNamespace is where the manager's manifests put it.
const systemNamespace = "kuda-system"

// grantRights creates what the installation's manifests say of the manager's rights, and
// the policies that hold its account to what it uses them for.
func grantRights(ctx context.Context, c client.Client, deploy string) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: systemNamespace}}
	if err := c.Create(ctx, namespace); err != nil {
		return fmt.Errorf("creating namespace %s: %w", systemNamespace, err)
	}
	for _, file := range []string{
		"rbac/manager.yaml", "rbac/manager-exec-hooks.yaml", "rbac/manager-preheat.yaml",
		"policy/manager-pods.yaml", "policy/manager-exec.yaml", "policy/own-objects.yaml", "flowcontrol/flowcontrol.yaml",
		"node/namespace.yaml", "node/rbac.yaml",
	} {
		content, err := os.ReadFile(filepath.Join(deploy, file))
		if err != nil {
			return fmt.Errorf("reading the manager's rights: %w", err)
		}
		decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), len(content))
		for {
			var object unstructured.Unstructured
			err := decoder.Decode(&object)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return fmt.Errorf("reading %s: %w", file, err)
			}
			if err := c.Create(ctx, &object); err != nil {
				return fmt.Errorf("creating %s %s: %w", object.GetKind(), object.GetName(), err)
			}
		}
	}
	return nil
}

// asManager is a configuration with the rights of the installed manager and no others.
func asManager(cfg *rest.Config) *rest.Config {
	cfg = rest.CopyConfig(cfg)
	cfg.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + systemNamespace + ":kuda-manager",
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + systemNamespace, "system:authenticated"},
	}
	return cfg
}
