// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package locality

import (
	"cmp"
	"slices"
)

// Want is one item that a pod is to have.
type Want struct {
	// Mark of its bytes (package content).
	Mark string
	// DataSet, the item's "namespace/name" and its version, for people.
	DataSet, Item, Version string
	// Required: the pod may run only where it is (placement Require).
	Required bool
}

// Held is what one node has of a Demand.
type Held struct {
	// Bytes of complete snapshots, and of such as are on their way.
	Bytes, Downloading int64
	// Items and Required count the wants, and those of them that are required,
	// that are complete.
	Items, Required int
	// Available is how many bytes a download may have in the namespace's store
	// of the node.
	Available int64
}

// Demand is what one pod wants, looked up. It does not change.
type Demand struct {
	Wants []Want
	// Total bytes as far as they are known: some node has, or had, them.
	Total int64
	// Required counts the wants that are.
	Required int
	// Sizes of the wants in bytes, in their order; 0 when nobody knows.
	Sizes []int64

	held map[string]Held
	// complete are the nodes that have a want, in the order of wants.
	complete []map[string]bool
	zones    map[string]int64
	racks    map[string]int64
	holders  []string
	index    *Index
}

// answer is called with the lock held.
func (x *Index) answer(namespace string, wants []Want) *Demand {
	d := &Demand{Wants: slices.Clone(wants), Sizes: make([]int64, len(wants)), complete: make([]map[string]bool, len(wants)),
		held: map[string]Held{}, zones: map[string]int64{}, racks: map[string]int64{}, index: x}
	// A store without any of it has room to tell of, too.
	for node, entry := range x.stores {
		if store, ok := entry.stores[namespace]; ok && x.trusted(node, namespace) {
			d.held[node] = Held{Available: store.available}
		}
	}
	for i, w := range wants {
		if w.Required {
			d.Required++
		}
		d.add(x, namespace, i)
		d.Total += d.Sizes[i]
	}
	for node, h := range d.held {
		if h.Bytes > 0 || h.Items > 0 {
			d.holders = append(d.holders, node)
		}
	}
	slices.SortFunc(d.holders, func(a, b string) int {
		return cmp.Or(cmp.Compare(d.held[b].Bytes, d.held[a].Bytes), cmp.Compare(d.held[b].Items, d.held[a].Items), cmp.Compare(a, b))
	})
	return d
}

func (d *Demand) add(x *Index, namespace string, i int) {
	on := x.holders[key{namespace, d.Wants[i].Mark}]
	d.complete[i] = make(map[string]bool, len(on))
	zones, racks := map[string]bool{}, map[string]bool{}
	for node, have := range on {
		// What is not believed of a node still tells how large it is.
		d.Sizes[i] = max(d.Sizes[i], have.bytes)
		if !x.trusted(node, namespace) {
			continue
		}
		h := d.held[node]
		if have.downloading {
			h.Downloading += have.bytes
		} else {
			h.Bytes += have.bytes
			h.Items++
			if d.Wants[i].Required {
				h.Required++
			}
			d.complete[i][node] = true
			zones[x.nodes[node].Zone], racks[x.nodes[node].Rack] = true, true
		}
		d.held[node] = h
	}
	share(d.zones, zones, d.Sizes[i])
	share(d.racks, racks, d.Sizes[i])
}

func share(sums map[string]int64, places map[string]bool, bytes int64) {
	for place := range places {
		if place != "" {
			sums[place] += bytes
		}
	}
}

// On is what a node has; known is false when nothing has been heard of the
// namespace's store there.
func (d *Demand) On(node string) (h Held, known bool) {
	h, known = d.held[node]
	return h, known
}

// Zone is how many bytes nodes of a zone have, each counted once; Rack likewise.
func (d *Demand) Zone(zone string) int64 { return d.zones[zone] }

// Rack is how many bytes nodes of a rack have, each counted once.
func (d *Demand) Rack(rack string) int64 { return d.racks[rack] }

// Holders are the nodes that have some of it complete, most bytes first.
func (d *Demand) Holders() []string { return d.holders }

// Satisfied tells whether a node has everything that is required.
func (d *Demand) Satisfied(node string) bool {
	return d.Required == 0 || d.held[node].Required == d.Required
}

// Missing lists the wants that a node does not have complete.
func (d *Demand) Missing(node string) []Want {
	var missing []Want
	for i, w := range d.Wants {
		if !d.complete[i][node] {
			missing = append(missing, w)
		}
	}
	return missing
}

// MissingBytes is how many bytes a node would have to download, as far as sizes
// are known. What another download brings anyway counts as there.
func (d *Demand) MissingBytes(node string) int64 {
	h := d.held[node]
	return max(0, d.Total-h.Bytes-h.Downloading)
}

// HoldersOf are the nodes that have the i-th want complete, sorted.
func (d *Demand) HoldersOf(i int) []string {
	nodes := make([]string, 0, len(d.complete[i]))
	for node := range d.complete[i] {
		nodes = append(nodes, node)
	}
	slices.Sort(nodes)
	return nodes
}

// Downloads is how many downloads run on a node, whoever wants them.
func (d *Demand) Downloads(node string) int {
	d.index.mu.RLock()
	defer d.index.mu.RUnlock()
	if entry := d.index.stores[node]; entry != nil {
		return entry.downloads
	}
	return 0
}
