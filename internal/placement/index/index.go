// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package index

import (
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// Options of an Index.
type Options struct {
	// CheckNodes believes a NodeStore only while its node is known (SetNode) and
	// has not changed since. Without it every NodeStore is believed.
	CheckNodes bool
	// Now is time.Now where it is nil.
	Now func() time.Time
}

func (o Options) now() time.Time {
	if o.Now != nil {
		return o.Now()
	}
	return time.Now()
}

// Index is what nodes hold. It is safe for concurrent use.
type Index struct {
	options Options

	mu     sync.RWMutex
	nodes  map[string]Node
	stores map[string]*nodeEntry
	// holders of each mark of a namespace, trusted or not.
	holders map[key]map[string]holding
	// answers to what was asked about each namespace since its data changed.
	answers map[string]*answers
	// caches of the namespaces' DataSets, and the node that each host is.
	caches map[string]map[string]Cache
	hosts  map[string]string
}

type key struct{ namespace, mark string }

type holding struct {
	bytes       int64
	downloading bool
	// pinned: some pod needs it, so it is not evicted.
	pinned bool
}

// nodeEntry is one NodeStore, as far as it is needed.
type nodeEntry struct {
	uid    types.UID
	stores map[string]storeEntry
	keys   []key
}

type storeEntry struct {
	observed time.Time
	bootID   string
	room     room
}

// room is what a namespace's store of a node can take.
type room struct {
	available int64
	downloads int
}

// NewIndex makes an empty index.
func NewIndex(o Options) *Index {
	return &Index{
		options: o, nodes: map[string]Node{}, stores: map[string]*nodeEntry{},
		holders: map[key]map[string]holding{}, answers: map[string]*answers{},
		caches: map[string]map[string]Cache{}, hosts: map[string]string{},
	}
}

// Set takes over a NodeStore in place of what was known of its node.
func (x *Index) Set(s *v1alpha1.NodeStore) {
	entry := &nodeEntry{uid: OwnerOf(s), stores: make(map[string]storeEntry, len(s.Status.Stores))}
	x.mu.Lock()
	defer x.mu.Unlock()
	before := x.pictureNode(s.Name)
	x.removeNode(s.Name)
	for i := range s.Status.Stores {
		store := &s.Status.Stores[i]
		r := room{available: store.AvailableBytes}
		for j := range store.Snapshots {
			snapshot := &store.Snapshots[j]
			have := holding{bytes: snapshot.Bytes, downloading: snapshot.Phase != v1alpha1.SnapshotComplete, pinned: snapshot.Pods > 0}
			if have.downloading {
				r.downloads++
			}
			for _, mark := range snapshot.Marks {
				x.addHolding(entry, key{store.Namespace, mark}, s.Name, have)
			}
		}
		entry.stores[store.Namespace] = storeEntry{observed: store.ObservedTime.Time, bootID: store.BootID, room: r}
	}
	x.stores[s.Name] = entry
	// A node says what it holds again and again; answers are forgotten where it says
	// something else than before.
	after := x.pictureNode(s.Name)
	for namespace, was := range before {
		if is, ok := after[namespace]; !ok || !was.equal(is) {
			delete(x.answers, namespace)
		}
	}
	for namespace := range after {
		if _, ok := before[namespace]; !ok {
			delete(x.answers, namespace)
		}
	}
}

// picture is what the answers about a namespace depend on, of one node.
type picture struct {
	room    room
	trusted bool
	marks   map[string]holding
}

func (p picture) equal(o picture) bool {
	return p.room == o.room && p.trusted == o.trusted && maps.Equal(p.marks, o.marks)
}

// pictureNode returns the picture of each namespace that has a store on the node. It is
// called with the lock held.
func (x *Index) pictureNode(node string) map[string]picture {
	entry := x.stores[node]
	if entry == nil {
		return nil
	}
	pictures := make(map[string]picture, len(entry.stores))
	for namespace, store := range entry.stores {
		pictures[namespace] = picture{room: store.room, trusted: x.isTrusted(node, namespace), marks: map[string]holding{}}
	}
	for _, k := range entry.keys {
		pictures[k.namespace].marks[k.mark] = x.holders[k][node]
	}
	return pictures
}

// addHolding is called with the lock held. Of two snapshots with one mark the complete
// one counts, and of two downloads the larger.
func (x *Index) addHolding(entry *nodeEntry, k key, node string, have holding) {
	on := x.holders[k]
	if on == nil {
		on = map[string]holding{}
		x.holders[k] = on
	}
	before, ok := on[node]
	switch {
	case !ok:
		entry.keys = append(entry.keys, k)
	case !before.downloading, have.downloading && have.bytes <= before.bytes:
		return
	}
	on[node] = have
}

// Delete forgets what a node holds.
func (x *Index) Delete(node string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.invalidateAnswers(x.stores[node])
	x.removeNode(node)
}

// removeNode forgets what the node holds, and no answers. It is called with the lock held.
func (x *Index) removeNode(node string) {
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
}

// SetNode takes over what is known of a node.
func (x *Index) SetNode(name string, n Node) {
	x.mu.Lock()
	defer x.mu.Unlock()
	before, ok := x.nodes[name]
	if ok && before.equal(n) {
		return
	}
	if !slices.Equal(before.Hosts, n.Hosts) {
		x.setHosts(name, before.Hosts, n.Hosts)
	}
	x.nodes[name] = n
	x.invalidateAnswers(x.stores[name])
}

// DeleteNode forgets a node; what it holds is then believed no longer, with
// CheckNodes.
func (x *Index) DeleteNode(name string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.setHosts(name, x.nodes[name].Hosts, nil)
	delete(x.nodes, name)
	x.invalidateAnswers(x.stores[name])
}

// invalidateAnswers drops the answers in which the node has a part. It is called with the
// lock held; the entry may be nil.
func (x *Index) invalidateAnswers(entry *nodeEntry) {
	if entry == nil {
		return
	}
	for namespace := range entry.stores {
		delete(x.answers, namespace)
	}
}

// Nodes lists the nodes of which something is known, sorted.
func (x *Index) Nodes() []string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return slices.Sorted(maps.Keys(x.stores))
}
