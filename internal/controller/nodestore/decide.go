// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package nodestore

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/nodestore"
	"github.com/kuda-io/kuda/internal/placement/index"
)

// decision is what is to be done about a NodeStore.
type decision struct {
	// remove the whole, for this reason; "": keep it.
	remove string
	// drop the entries of these namespaces, each for a reason.
	drop map[string]string
	// started: the machine was started anew. Its disk may be another one, and the
	// directory of the stores open again.
	started bool
}

// decideAction judges a NodeStore by its node (nil: there is none) and by the UIDs of the
// namespaces that exist. Of a node that is not Ready nothing is believed, and nothing
// is known either: its entries are judged when it is Ready again.
func decideAction(s *v1alpha1.NodeStore, node *index.Node, uids map[string]types.UID) decision {
	uid := index.OwnerOf(s)
	switch {
	case node == nil:
		return decision{remove: "its node is gone"}
	case uid != "" && uid != node.UID:
		return decision{remove: "it is of an earlier node of the name"}
	}
	d := decision{drop: map[string]string{}}
	for i := range s.Status.Stores {
		store := &s.Status.Stores[i]
		now, there := uids[store.Namespace]
		switch {
		case !there:
			d.drop[store.Namespace] = "the namespace is gone"
		case store.NamespaceUID != "" && store.NamespaceUID != string(now):
			d.drop[store.Namespace] = "the namespace is another one of the name"
		case node.ReadySince.IsZero(), index.Trusted(*node, uid, store.BootID, store.ObservedTime.Time):
		case store.BootID != "" && node.BootID != "" && store.BootID != node.BootID:
			d.drop[store.Namespace], d.started = "the machine has been started anew since", true
		default:
			d.drop[store.Namespace] = "the node has become Ready since"
		}
	}
	return d
}

func (d decision) isEmpty() bool { return d.remove == "" && len(d.drop) == 0 }

// remainingStatus returns the status without the entries that are to be dropped. Where
// their directories are stays known.
func (d decision) remainingStatus(s v1alpha1.NodeStoreStatus) v1alpha1.NodeStoreStatus {
	var gone []v1alpha1.NamespaceStore
	s.Stores = slices.DeleteFunc(slices.Clone(s.Stores), func(store v1alpha1.NamespaceStore) bool {
		dropped := d.drop[store.Namespace] != ""
		if dropped {
			gone = append(gone, store)
		}
		return dropped
	})
	nodestore.KeepDirectories(&s, gone...)
	s.Closed = s.Closed && !d.started
	nodestore.Sum(&s)
	return s
}
