// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package locality

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
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
}

// Options of an Index.
type Options struct {
	// CheckNodes believes a NodeStore only while its node is known (SetNode) and
	// has not changed since. Without it every NodeStore is believed.
	CheckNodes bool
}

// Index is what nodes hold. It is safe for concurrent use.
type Index struct {
	options Options

	mu     sync.RWMutex
	nodes  map[string]Node
	stores map[string]*nodeEntry
	// holders of each mark of a namespace, trusted or not.
	holders map[key]map[string]holding
	// demands are the answers to what was asked since the namespace's data changed.
	demands map[string]map[string]*Demand
}

type key struct{ namespace, mark string }

type holding struct {
	bytes       int64
	downloading bool
}

// nodeEntry is one NodeStore, as far as it is needed.
type nodeEntry struct {
	uid       types.UID
	stores    map[string]storeEntry
	keys      []key
	downloads int
}

type storeEntry struct {
	observed  time.Time
	bootID    string
	available int64
}

// NewIndex makes an empty index.
func NewIndex(o Options) *Index {
	return &Index{
		options: o, nodes: map[string]Node{}, stores: map[string]*nodeEntry{},
		holders: map[key]map[string]holding{}, demands: map[string]map[string]*Demand{},
	}
}

// Set takes over a NodeStore in place of what was known of its node.
func (x *Index) Set(s *v1alpha1.NodeStore) {
	entry := &nodeEntry{stores: make(map[string]storeEntry, len(s.Status.Stores))}
	for _, owner := range s.OwnerReferences {
		if owner.Kind == "Node" && owner.Name == s.Name {
			entry.uid = owner.UID
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.drop(s.Name)
	for i := range s.Status.Stores {
		store := &s.Status.Stores[i]
		entry.stores[store.Namespace] = storeEntry{observed: store.ObservedTime.Time, bootID: store.BootID, available: store.AvailableBytes}
		delete(x.demands, store.Namespace)
		for j := range store.Snapshots {
			snapshot := &store.Snapshots[j]
			have := holding{bytes: snapshot.Bytes, downloading: snapshot.Phase != v1alpha1.SnapshotComplete}
			if have.downloading {
				entry.downloads++
			}
			for _, mark := range snapshot.Marks {
				x.hold(entry, key{store.Namespace, mark}, s.Name, have)
			}
		}
	}
	x.stores[s.Name] = entry
}

// hold is called with the lock held. Of two snapshots with one mark the complete
// one counts.
func (x *Index) hold(entry *nodeEntry, k key, node string, have holding) {
	on := x.holders[k]
	if on == nil {
		on = map[string]holding{}
		x.holders[k] = on
	}
	if before, ok := on[node]; ok && !before.downloading {
		return
	}
	on[node] = have
	entry.keys = append(entry.keys, k)
}

// Delete forgets what a node holds.
func (x *Index) Delete(node string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.drop(node)
}

func (x *Index) drop(node string) {
	entry := x.stores[node]
	if entry == nil {
		return
	}
	delete(x.stores, node)
	for _, k := range entry.keys {
		delete(x.holders[k], node)
		if len(x.holders[k]) == 0 {
			delete(x.holders, k)
		}
	}
	for namespace := range entry.stores {
		delete(x.demands, namespace)
	}
}

// SetNode takes over what is known of a node.
func (x *Index) SetNode(name string, n Node) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.nodes[name] == n {
		return
	}
	x.nodes[name] = n
	x.forget(name)
}

// DeleteNode forgets a node; what it holds is then believed no longer, with
// CheckNodes.
func (x *Index) DeleteNode(name string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.nodes, name)
	x.forget(name)
}

// forget drops the answers that the node has a part in.
func (x *Index) forget(node string) {
	if entry := x.stores[node]; entry != nil {
		for namespace := range entry.stores {
			delete(x.demands, namespace)
		}
	}
}

// trusted is called with the lock held.
func (x *Index) trusted(node, namespace string) bool {
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

// Trusted tells whether what was observed of a store may still be so: on the
// same node object, in the same boot, since the node last became Ready. Times
// of the API have whole seconds, so one that is equal counts as later.
func Trusted(n Node, uid types.UID, bootID string, observed time.Time) bool {
	return !n.ReadySince.IsZero() && (uid == "" || uid == n.UID) && (bootID == "" || n.BootID == "" || bootID == n.BootID) &&
		!observed.Before(n.ReadySince.Truncate(time.Second))
}

// Demand answers what a pod of the namespace wants. Equal questions get the same
// answer until something changed; it must not be written to.
func (x *Index) Demand(namespace string, wants []Want) *Demand {
	name := question(wants)
	x.mu.RLock()
	d := x.demands[namespace][name]
	x.mu.RUnlock()
	if d != nil {
		return d
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	d = x.answer(namespace, wants)
	if x.demands[namespace] == nil {
		x.demands[namespace] = map[string]*Demand{}
	}
	if len(x.demands[namespace]) >= maxAnswers {
		clear(x.demands[namespace])
	}
	x.demands[namespace][name] = d
	return d
}

// maxAnswers bounds what is remembered for one namespace.
const maxAnswers = 1024

func question(wants []Want) string {
	var b strings.Builder
	for i := range wants {
		b.WriteString(wants[i].Mark)
		b.WriteByte(' ')
		b.WriteString(wants[i].DataSet)
		b.WriteByte(' ')
		b.WriteString(wants[i].Item)
		b.WriteByte('\n')
	}
	return b.String()
}

// Nodes lists the nodes of which something is known, sorted.
func (x *Index) Nodes() []string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return slices.Sorted(maps.Keys(x.stores))
}
