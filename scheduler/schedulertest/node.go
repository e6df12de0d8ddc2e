// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package schedulertest

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// Node is a node as its kubelet would say: ready for an hour, with 32 CPUs and
// room for 110 pods.
func Node(name string) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name, corev1.LabelOSStable: "linux",
			corev1.LabelArchStable: "amd64"}},
		Status: corev1.NodeStatus{
			NodeInfo: corev1.NodeSystemInfo{BootID: "boot-" + name, OperatingSystem: "linux", Architecture: "amd64", KubeletVersion: "v1.37.2"},
			Capacity: nodeResources(), Allocatable: nodeResources(),
			Conditions: []corev1.NodeCondition{{
				Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady",
				LastTransitionTime: metav1.NewTime(time.Now().Add(-time.Hour)), LastHeartbeatTime: metav1.Now(),
			}},
		},
	}
}

func nodeResources() corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("32"), corev1.ResourceMemory: resource.MustParse("256Gi"),
		corev1.ResourcePods: resource.MustParse("110"), corev1.ResourceEphemeralStorage: resource.MustParse("1Ti"),
	}
}

// CreateNode creates one with its status, and takes away the taint that a node
// is born with.
func (a *APIServer) CreateNode(ctx context.Context, n *corev1.Node) error {
	status := n.Status.DeepCopy()
	if err := a.Client.Create(ctx, n); err != nil {
		return fmt.Errorf("creating node %s: %w", n.Name, err)
	}
	if len(n.Spec.Taints) > 0 {
		n.Spec.Taints = nil
		if err := a.Client.Update(ctx, n); err != nil {
			return fmt.Errorf("taking the taints from node %s: %w", n.Name, err)
		}
	}
	n.Status = *status
	if err := a.Client.Status().Update(ctx, n); err != nil {
		return fmt.Errorf("writing the status of node %s: %w", n.Name, err)
	}
	return nil
}

// Store says of a node's store, as the gateway would, that it holds these marks
// complete, each with so many bytes.
func (a *APIServer) Store(ctx context.Context, n *corev1.Node, namespace string, bytes int64, marks ...string) error {
	store := v1alpha1.NamespaceStore{
		Namespace: namespace, StoreID: "store-" + n.Name, BootID: n.Status.NodeInfo.BootID, ObservedTime: metav1.Now(),
		CapacityBytes: 1 << 40, FreeBytes: 1 << 39, AvailableBytes: 1 << 39, UsedBytes: bytes * int64(len(marks)),
	}
	for _, mark := range marks {
		store.Snapshots = append(store.Snapshots, v1alpha1.StoredSnapshot{ID: mark, Marks: []string{mark}, Bytes: bytes,
			Phase: v1alpha1.SnapshotComplete})
	}
	return a.SetStores(ctx, n, store)
}

// SetStores replaces what a NodeStore says.
func (a *APIServer) SetStores(ctx context.Context, n *corev1.Node, stores ...v1alpha1.NamespaceStore) error {
	object := &v1alpha1.NodeStore{ObjectMeta: metav1.ObjectMeta{Name: n.Name}}
	err := a.Client.Get(ctx, client.ObjectKeyFromObject(object), object)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading NodeStore %s: %w", n.Name, err)
	}
	if err != nil {
		object.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: n.Name, UID: n.UID}}
		if err := a.Client.Create(ctx, object); err != nil {
			return fmt.Errorf("creating NodeStore %s: %w", n.Name, err)
		}
	}
	object.Status.Stores = stores
	if err := a.Client.Status().Update(ctx, object); err != nil {
		return fmt.Errorf("writing NodeStore %s: %w", n.Name, err)
	}
	return nil
}
