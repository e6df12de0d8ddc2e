// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/kuda-io/kuda/internal/sidecar"
)

// storesDirectory is where a node has the stores of its namespaces.
const storesDirectory = "/var/lib/kuda"

// namespaceDirectory is where a node has the stores of a namespace of that name.
func namespaceDirectory(namespace string) string {
	if byDriver {
		return path.Join(storesDirectory, sidecar.NodeStoresDir, namespace)
	}
	return path.Join(storesDirectory, namespace)
}

// storeDirectory is where a node has the store of a namespace.
func storeDirectory(t *testing.T, namespace string) string {
	t.Helper()
	return path.Join(namespaceDirectory(namespace), namespaceUID(t, namespace))
}

// runOn runs a program on a node.
func runOn(node string, args ...string) (string, error) {
	out, err := exec.Command(os.Getenv("KUDA_CLUSTER"), append([]string{"node", "exec", node, "--"}, args...)...).CombinedOutput()
	return string(out), err
}

// makeNamespaceDirectory makes the directory of a namespace's stores on a node, as
// whoever makes the store would.
func makeNamespaceDirectory(t *testing.T, node, namespace string) {
	t.Helper()
	args := []string{"install", "-d", "-m", "0700"}
	if byDriver {
		args = append(args, "-o", "65532", "-g", "65532", path.Dir(namespaceDirectory(namespace)))
	}
	if out, err := runOn(node, append(args, namespaceDirectory(namespace))...); err != nil {
		t.Fatalf("%v %s", err, out)
	}
}

// restrict makes a pod of this package's application pass the level restricted.
func restrict(p *corev1.PodSpec) {
	p.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To[int64](4711),
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}}
	for i := range p.Containers {
		p.Containers[i].SecurityContext = &corev1.SecurityContext{AllowPrivilegeEscalation: ptr.To(false),
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}}
	}
}

// restrictedLabels are those of a namespace that enforces the level restricted.
func restrictedLabels() map[string]string {
	return map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}
}
