// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/placement/index"
)

// ViewRole is the ClusterRole that lets a user read what nodes hold.
const ViewRole = "kuda-nodes-view"

// Cluster is what is known of the nodes of a cluster and of what they hold.
type Cluster struct {
	// Nodes by name.
	Nodes map[string]*corev1.Node
	// Stores, sorted by name.
	Stores []v1alpha1.NodeStore
}

// ReadCluster reads all nodes and NodeStores.
func ReadCluster(ctx context.Context, c client.Reader) (*Cluster, error) {
	var stores v1alpha1.NodeStoreList
	if err := c.List(ctx, &stores); err != nil {
		return nil, listError("nodestores", err)
	}
	var nodes corev1.NodeList
	if err := c.List(ctx, &nodes); err != nil {
		return nil, listError("nodes", err)
	}
	return NewCluster(nodes.Items, stores.Items), nil
}

// NewCluster puts together what was read; it keeps the nodes and the stores.
func NewCluster(nodes []corev1.Node, stores []v1alpha1.NodeStore) *Cluster {
	cluster := &Cluster{Nodes: make(map[string]*corev1.Node, len(nodes)), Stores: stores}
	for i := range nodes {
		cluster.Nodes[nodes[i].Name] = &nodes[i]
	}
	slices.SortFunc(cluster.Stores, func(a, b v1alpha1.NodeStore) int { return strings.Compare(a.Name, b.Name) })
	return cluster
}

// ForbiddenError is the error of a user who may not read the nodes, or what they hold.
type ForbiddenError struct{ resource string }

func (e *ForbiddenError) Error() string {
	return fmt.Sprintf("you may not list %s, which are of the whole cluster; ask an administrator for the ClusterRole %s: "+
		"kubectl create clusterrolebinding %s-USER --clusterrole %s --user USER", e.resource, ViewRole, ViewRole, ViewRole)
}

// listError says what to do about it. Both kinds are of the whole cluster, so
// the rights that users have in their namespaces do not reach them.
func listError(resource string, err error) error {
	switch {
	case apierrors.IsForbidden(err):
		return &ForbiddenError{resource: resource}
	case meta.IsNoMatchError(err):
		return fmt.Errorf("this cluster has no NodeStores: Kuda is not installed, or is older than this program; " +
			"apply the release that this program is of (kubectl apply --server-side -f install/kuda.yaml), or choose another cluster by --context")
	}
	return fmt.Errorf("listing %s: %w", resource, err)
}

// Index is the Cluster as placement sees it; rack is the label that names racks,
// or empty.
func (c *Cluster) Index(rack string) *index.Index {
	x := index.NewIndex(index.Options{CheckNodes: true})
	for name, node := range c.Nodes {
		x.SetNode(name, Facts(node, rack))
	}
	for i := range c.Stores {
		x.Set(&c.Stores[i])
	}
	return x
}

// Facts are what placement has to know of a node.
func Facts(node *corev1.Node, rack string) index.Node {
	n := index.NodeOf(node)
	if rack != "" {
		n.Rack = node.Labels[rack]
	}
	return n
}

// Ready is the node's condition of that name, if it has one.
func Ready(node *corev1.Node) *corev1.NodeCondition {
	for i := range node.Status.Conditions {
		if node.Status.Conditions[i].Type == corev1.NodeReady {
			return &node.Status.Conditions[i]
		}
	}
	return nil
}

// Stale says why an entry of a NodeStore is not believed; empty: it is. The
// verdict is that of package placement/index. Node is nil for one that is not there.
func Stale(node *corev1.Node, store *v1alpha1.NodeStore, entry *v1alpha1.NamespaceStore) string {
	if node == nil {
		return "there is no such node"
	}
	facts, uid := index.NodeOf(node), index.OwnerOf(store)
	switch {
	case index.Trusted(facts, uid, entry.BootID, entry.ObservedTime.Time):
		return ""
	case uid != "" && uid != facts.UID:
		return "it is of an earlier node of that name"
	case facts.ReadySince.IsZero():
		return "the node is not Ready"
	case entry.BootID != "" && facts.BootID != "" && entry.BootID != facts.BootID:
		return "the node was started again since"
	}
	return "the node was away since"
}
