// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package nodestore

import (
	"slices"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/locality"
)

// decision is what is to be done about a NodeStore.
type decision struct {
	// remove the whole, for this reason; "": keep it.
	remove string
	// drop the entries of these namespaces, each for a reason.
	drop map[string]string
}

// decide judges a NodeStore by its node (nil: there is none) and by which
// namespaces exist. Of a node that is not Ready nothing is believed, and nothing
// is known either: its entries are judged when it is Ready again.
func decide(s *v1alpha1.NodeStore, node *locality.Node, exists func(namespace string) bool) decision {
	uid := locality.OwnerOf(s)
	switch {
	case node == nil:
		return decision{remove: "its node is gone"}
	case uid != "" && uid != node.UID:
		return decision{remove: "it is of an earlier node of the name"}
	}
	d := decision{drop: map[string]string{}}
	for i := range s.Status.Stores {
		store := &s.Status.Stores[i]
		switch {
		case !exists(store.Namespace):
			d.drop[store.Namespace] = "the namespace is gone"
		case node.ReadySince.IsZero(), locality.Trusted(*node, uid, store.BootID, store.ObservedTime.Time):
		case store.BootID != "" && node.BootID != "" && store.BootID != node.BootID:
			d.drop[store.Namespace] = "the machine has been started anew since"
		default:
			d.drop[store.Namespace] = "the node has become Ready since"
		}
	}
	return d
}

func (d decision) nothing() bool { return d.remove == "" && len(d.drop) == 0 }

// without answers the status without the entries that are to be dropped.
func (d decision) without(s v1alpha1.NodeStoreStatus) v1alpha1.NodeStoreStatus {
	s.Stores = slices.DeleteFunc(slices.Clone(s.Stores), func(store v1alpha1.NamespaceStore) bool {
		return d.drop[store.Namespace] != ""
	})
	Sum(&s)
	return s
}
