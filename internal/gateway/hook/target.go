// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// closedNamespaces are those in whose pods no hook runs, whatever a DataSet there
// says. The policy kuda-manager-exec holds the manager's account to the same.
var closedNamespaces = []string{"kube-system", "kube-public", "kube-node-lease", "kuda-system"}

// Container returns the container to run the hook in: one of the application's,
// of an injected pod. It must run now.
func Container(p *corev1.Pod, d Declared) (string, error) {
	name := d.Container
	if name == "" && len(p.Spec.Containers) > 0 {
		name = p.Spec.Containers[0].Name
	}
	if err := checkTarget(p, name); err != nil {
		return "", err
	}
	for _, status := range p.Status.ContainerStatuses {
		if status.Name == name && status.State.Running != nil {
			return name, nil
		}
	}
	return "", fmt.Errorf("%w: %s of pod %s", ErrNotRunning, name, p.Name)
}

// checkTarget returns why no hook may run in a container, or nil. Tokens and
// credentials are in the containers of Kuda; init containers and ephemeral ones may
// belong to others than the application that the data is for.
func checkTarget(p *corev1.Pod, container string) error {
	named := func(c corev1.Container) bool { return c.Name == container }
	switch {
	case slices.Contains(closedNamespaces, p.Namespace):
		return fmt.Errorf("%w: hooks do not run in namespace %s", ErrNoContainer, p.Namespace)
	case container == sidecar.ContainerName, strings.HasPrefix(container, sidecar.PluginPrefix):
		return fmt.Errorf("%w: %s is Kuda's own", ErrNoContainer, container)
	case !isInjected(p):
		return fmt.Errorf("%w: pod %s does not carry the runtime", ErrNoContainer, p.Name)
	case slices.ContainsFunc(p.Spec.Containers, named):
		return nil
	case slices.ContainsFunc(p.Spec.InitContainers, named):
		return fmt.Errorf("%w: %s is an init container of pod %s; name one of spec.containers", ErrNoContainer, container, p.Name)
	}
	return fmt.Errorf("%w: pod %s has no container %q; correct the item's container", ErrNoContainer, p.Name, container)
}

func isInjected(p *corev1.Pod) bool {
	return p.Annotations[v1alpha1.AnnotationInjected] != "" &&
		slices.ContainsFunc(p.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == sidecar.ContainerName })
}
