// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package index

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Node is what has to be known of a node.
type Node struct {
	// UID of the node object, and the boot of the machine.
	UID    types.UID
	BootID string
	// ReadySince is when the node last became Ready; zero when it is not. What
	// was observed before may be gone: a node that comes back may come back empty.
	ReadySince time.Time
	// Zone is the value of topology.kubernetes.io/zone, or "".
	Zone string
	// Rack is the value of the label that names racks, or "".
	Rack string
	// Hosts are the names and addresses of the machine.
	Hosts []string
}

func (n Node) equal(o Node) bool {
	return n.UID == o.UID && n.BootID == o.BootID && n.ReadySince.Equal(o.ReadySince) && n.Zone == o.Zone && n.Rack == o.Rack &&
		slices.Equal(n.Hosts, o.Hosts)
}

// Trusted reports whether what was observed of a store may still be so: on the
// same node object, in the same boot, since the node last became Ready. Times
// of the API have whole seconds, so one that is equal counts as later.
func Trusted(n Node, uid types.UID, bootID string, observed time.Time) bool {
	return !n.ReadySince.IsZero() && (uid == "" || uid == n.UID) && (bootID == "" || n.BootID == "" || bootID == n.BootID) &&
		!observed.Before(n.ReadySince.Truncate(time.Second))
}

// isTrusted reports whether a node is trusted, with the lock held; see Trusted.
func (x *Index) isTrusted(node, namespace string) bool {
	entry := x.stores[node]
	if entry == nil {
		return false
	}
	store, ok := entry.stores[namespace]
	if !ok {
		return false
	}
	if !x.options.CheckNodes {
		return true
	}
	n, known := x.nodes[node]
	return known && Trusted(n, entry.uid, store.bootID, store.observed)
}
