// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package preheat

import (
	"maps"
	"reflect"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/domain/podstate"
	"github.com/kuda-io/kuda/internal/placement/index"
)

// nodeOf is a node as the planner sees it; s is its NodeStore, or nil.
func nodeOf(n *corev1.Node, s *v1alpha1.NodeStore, namespace string, marks []string) Node {
	node := Node{
		Name: n.Name, Labels: n.Labels, Cordoned: n.Spec.Unschedulable,
		Tainted: slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool {
			return t.Effect == corev1.TaintEffectNoSchedule || t.Effect == corev1.TaintEffectNoExecute
		}),
	}
	about := index.NodeOf(n)
	node.Ready, node.ReadySince = !about.ReadySince.IsZero(), about.ReadySince
	if s != nil {
		node.Store = storeOf(about, s, namespace, marks)
	}
	return node
}

// equalExceptStore reports whether two nodes are equal but for their stores.
func (n Node) equalExceptStore(o Node) bool {
	return n.Name == o.Name && maps.Equal(n.Labels, o.Labels) && n.Ready == o.Ready && n.ReadySince.Equal(o.ReadySince) &&
		n.Cordoned == o.Cordoned && n.Tainted == o.Tainted
}

// storeOf is what the namespace's store of the node holds of the marks; nil where
// that is not known, or cannot be believed.
func storeOf(n index.Node, s *v1alpha1.NodeStore, namespace string, marks []string) *Store {
	i := slices.IndexFunc(s.Status.Stores, func(e v1alpha1.NamespaceStore) bool { return e.Namespace == namespace })
	if i < 0 {
		return nil
	}
	entry := &s.Status.Stores[i]
	if !index.Trusted(n, index.OwnerOf(s), entry.BootID, entry.ObservedTime.Time) {
		return nil
	}
	store := &Store{
		Observed: entry.ObservedTime.Time, Available: entry.AvailableBytes, Omitted: entry.OmittedSnapshots > 0,
	}
	complete, kept := map[string]bool{}, map[string]bool{}
	for j := range entry.Snapshots {
		snapshot := &entry.Snapshots[j]
		if snapshot.Phase != v1alpha1.SnapshotComplete {
			continue
		}
		for _, mark := range snapshot.Marks {
			if !slices.Contains(marks, mark) {
				continue
			}
			if !complete[mark] {
				store.Bytes += snapshot.Bytes
			}
			complete[mark] = true
			kept[mark] = kept[mark] || snapshot.Preheated
		}
	}
	store.Kept = !slices.ContainsFunc(marks, func(mark string) bool { return !kept[mark] })
	return store
}

// podOf is a pod as the planner sees it; d is its Data, or nil.
func podOf(p *corev1.Pod, d *v1alpha1.Data) Pod {
	out := Pod{
		Name: p.Name, Created: p.CreationTimestamp.Time, Deleting: p.DeletionTimestamp != nil,
		Phase: p.Status.Phase, Injected: podstate.Injected(p), Node: p.Spec.NodeName,
	}
	out.Reason, out.Message = podstate.Problem(p)
	if d != nil {
		out.Data = deliveryOf(d)
	}
	return out
}

func deliveryOf(d *v1alpha1.Data) *Delivery {
	out := &Delivery{Reported: assignment.Reported(d), Delivered: assignment.Delivered(d), Fill: fillOf(d)}
	ready := assignment.Ready(d)
	if out.Delivered {
		if ready != nil {
			out.DeliveredAt = ready.LastTransitionTime.Time
		}
		return out
	}
	if item, forGood := assignment.FailedItem(d); item != nil {
		out.Permanent, out.Failing = forGood, !forGood
		out.Reason, out.Message = item.Reason, item.Message
		return out
	}
	if ready != nil && !out.Reported {
		out.Reason, out.Message = ready.Reason, ready.Message
	}
	return out
}

func (d Delivery) equal(o Delivery) bool {
	same := d.DeliveredAt.Equal(o.DeliveredAt)
	d.DeliveredAt, o.DeliveredAt = time.Time{}, time.Time{}
	return same && reflect.DeepEqual(d, o)
}
