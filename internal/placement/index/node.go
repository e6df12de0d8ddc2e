// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package index

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// NodeOf is what has to be known of a node. Its Rack is left to the caller, who
// knows which label names racks.
func NodeOf(n *corev1.Node) Node {
	out := Node{UID: n.UID, BootID: n.Status.NodeInfo.BootID, Zone: n.Labels[corev1.LabelTopologyZone]}
	for i := range n.Status.Conditions {
		if c := &n.Status.Conditions[i]; c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
			out.ReadySince = c.LastTransitionTime.Time
		}
	}
	out.Hosts = []string{n.Name}
	for i := range n.Status.Addresses {
		if host := n.Status.Addresses[i].Address; host != n.Name && !slices.Contains(out.Hosts, host) {
			out.Hosts = append(out.Hosts, host)
		}
	}
	return out
}

// OwnerOf is the UID of the node object that a NodeStore belongs to; "": it
// does not say.
func OwnerOf(s *v1alpha1.NodeStore) types.UID {
	for _, owner := range s.OwnerReferences {
		if owner.Kind == "Node" && owner.Name == s.Name {
			return owner.UID
		}
	}
	return ""
}

// HasReturned reports whether between two states of a node something happened after
// which what was observed before is no longer Trusted.
func HasReturned(before, after Node) bool {
	return before.UID != after.UID || before.BootID != after.BootID ||
		!after.ReadySince.IsZero() && !after.ReadySince.Equal(before.ReadySince)
}
