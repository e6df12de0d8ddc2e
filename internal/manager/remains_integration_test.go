// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package manager_test

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/controller/remains"
	"github.com/kuda-io/kuda/internal/manager"
	"github.com/kuda-io/kuda/internal/manager/managertest"
)

// removing has the manager remove what namespaces left.
func removing(o *manager.Options) {
	o.RemoveGoneStores, o.RuntimeImage, o.HostPath = true, managertest.RuntimeImage, func() string { return "/var/lib/kuda" }
}

// nodePod waits for the pod that is to run a command on a node.
func nodePod(t *testing.T, node, command string) *corev1.Pod {
	t.Helper()
	var found *corev1.Pod
	managertest.Eventually(t, "there is a pod for "+command, func(ctx context.Context) (bool, error) {
		var list corev1.PodList
		if err := cluster.Client.List(ctx, &list, client.InNamespace(remains.Namespace)); err != nil {
			return false, err
		}
		for i := range list.Items {
			p := &list.Items[i]
			// The keepers of other tests are there, too.
			owned := len(p.OwnerReferences) > 0 && p.OwnerReferences[0].Name == node
			if owned && strings.Contains(strings.Join(p.Spec.Containers[0].Command, " "), command) {
				found = p
			}
		}
		return found != nil, nil
	})
	return found
}

func succeed(t *testing.T, p *corev1.Pod) {
	t.Helper()
	cluster.EditPodStatus(t, p, func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded })
	managertest.Eventually(t, "the pod is deleted", func(ctx context.Context) (bool, error) {
		err := cluster.Client.Get(ctx, client.ObjectKeyFromObject(p), p)
		return err != nil, client.IgnoreNotFound(err)
	})
}

// TestWhatANamespaceLeftIsForgottenOnceItIsRemoved has the manager, with the rights of
// the installation, close a node's directory and remove a namespace's store.
func TestWhatANamespaceLeftIsForgottenOnceItIsRemoved(t *testing.T) {
	m := cluster.StartManager(t, removing)
	node := cluster.Node(t)
	p := onNode(t, node.Name)
	var namespace corev1.Namespace
	if err := cluster.Client.Get(t.Context(), client.ObjectKey{Name: p.Namespace}, &namespace); err != nil {
		t.Fatal(err)
	}
	report(t, m.GatewayFor(t, cluster, p), holds(1))
	stored(t, node.Name, "the entry names the namespace's UID", func(s *v1alpha1.NodeStore) bool {
		return len(s.Status.Stores) == 1 && s.Status.Stores[0].NamespaceUID == string(namespace.UID)
	})
	succeed(t, nodePod(t, node.Name, "node close"))
	stored(t, node.Name, "the node is closed", func(s *v1alpha1.NodeStore) bool { return s.Status.Closed && len(s.Status.Stores) == 1 })

	cluster.Delete(t, p)
	cluster.Vanish(t, p.Namespace)
	remove := nodePod(t, node.Name, "node remove "+p.Namespace+" --uid="+string(namespace.UID)+" --name-is-gone")
	stored(t, node.Name, "the directory is known until it is removed", func(s *v1alpha1.NodeStore) bool {
		return len(s.Status.Stores) == 0 && len(s.Status.Directories) == 1
	})
	succeed(t, remove)
	stored(t, node.Name, "the directory is forgotten", func(s *v1alpha1.NodeStore) bool { return len(s.Status.Directories) == 0 })
}
