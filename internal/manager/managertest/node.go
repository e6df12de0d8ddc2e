// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package managertest

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// BootID is the boot that nodes are in.
const BootID = "boot-1"

// Node makes a node that has been Ready for an hour. It goes with the test.
func (c *Cluster) Node(t *testing.T, change ...func(*corev1.Node)) *corev1.Node {
	t.Helper()
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{GenerateName: "node-"}}
	for _, f := range change {
		f(n)
	}
	c.createObject(t, n)
	t.Cleanup(func() {
		if err := client.IgnoreNotFound(c.Client.Delete(context.Background(),
			&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.Name}})); err != nil {
			t.Errorf("deleting node %s: %v", n.Name, err)
		}
	})
	c.EditNodeStatus(t, n, func(n *corev1.Node) {
		n.Status.NodeInfo.BootID = BootID
		NodeReady(n, corev1.ConditionTrue, time.Now().Add(-time.Hour))
	})
	return n
}

// NodeReady sets a node's condition Ready.
func NodeReady(n *corev1.Node, status corev1.ConditionStatus, since time.Time) {
	n.Status.Conditions = []corev1.NodeCondition{{
		Type: corev1.NodeReady, Status: status, LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.NewTime(since),
	}}
}

// EditNodeStatus plays what the kubelet says of a node.
func (c *Cluster) EditNodeStatus(t *testing.T, n *corev1.Node, change func(*corev1.Node)) {
	t.Helper()
	Eventually(t, "the node's status is taken", func(ctx context.Context) (bool, error) {
		if err := c.Client.Get(ctx, client.ObjectKeyFromObject(n), n); err != nil {
			return false, err
		}
		change(n)
		return c.Client.Status().Update(ctx, n) == nil, nil
	})
}

// Vanish deletes a namespace and lets it go, as the cluster's own controller
// does when it is empty.
func (c *Cluster) Vanish(t *testing.T, namespace string) {
	t.Helper()
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	c.Delete(t, n)
	Eventually(t, "the namespace is let go", func(ctx context.Context) (bool, error) {
		if err := c.Client.Get(ctx, client.ObjectKeyFromObject(n), n); err != nil {
			return true, client.IgnoreNotFound(err)
		}
		n.Spec.Finalizers = nil
		return c.Client.SubResource("finalize").Update(ctx, n) == nil, nil
	})
}
