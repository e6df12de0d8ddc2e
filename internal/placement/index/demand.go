// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package index

import (
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
	// Loose are those of Bytes that no pod needs. Available counts them as room.
	Loose int64
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
	// Total bytes as far as they are known: some node has, or had, them. Bytes
	// that two wants have in common count once, here and in everything below.
	Total int64
	// Required counts the wants that are.
	Required int
	// Sizes of the wants in bytes, in their order; 0 when unknown.
	Sizes []int64

	// held is what the nodes have that have some of it; their Available is in rooms.
	held map[string]Held
	// rooms are all of the namespace, shared by its demands.
	rooms map[string]room
	// complete are the nodes that have a want, in the order of wants.
	complete []map[string]bool
	zones    map[string]int64
	racks    map[string]int64
	holders  []string
	// cached are the bytes that caches have on nodes, of cacheTotal that may come from
	// them.
	cached     map[string]int64
	cacheTotal int64
}

// LeastBytes is from how many bytes on data speaks for a node: what is smaller is
// there as soon as a container is, and would only heap pods onto the node that had
// it first. It is the size up to which the store lets a download have its reserve.
const LeastBytes = 16 << 20

// Negligible reports whether all of it is so little, or so little known of, that it
// is no matter where the pod runs. What is required stays required.
func (d *Demand) Negligible() bool { return d.knownTotal() < LeastBytes }

// On is what a node has; known is false when nothing that can be believed has
// been heard of the namespace's store there.
func (d *Demand) On(node string) (h Held, known bool) {
	r, known := d.rooms[node]
	h = d.held[node]
	h.Available = r.available
	return h, known
}

// Zone is how many bytes nodes of a zone have, each counted once.
func (d *Demand) Zone(zone string) int64 { return d.zones[zone] }

// Rack is how many bytes nodes of a rack have, each counted once.
func (d *Demand) Rack(rack string) int64 { return d.racks[rack] }

// Holders are the nodes that have some of it complete, most bytes first.
func (d *Demand) Holders() []string { return d.holders }

// Satisfied reports whether a node has everything that is required.
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

// RoomNeeded is what of a node's Available a pod would need: the bytes that are
// missing, and those that must stay though Available counts on their going.
func (d *Demand) RoomNeeded(node string) int64 { return d.MissingBytes(node) + d.held[node].Loose }

// HoldersOf are the nodes that have the i-th want complete, sorted.
func (d *Demand) HoldersOf(i int) []string {
	nodes := make([]string, 0, len(d.complete[i]))
	for node := range d.complete[i] {
		nodes = append(nodes, node)
	}
	slices.Sort(nodes)
	return nodes
}

// Downloads is how many downloads run in the namespace's store of a node, for
// any pod. Those of other namespaces are not counted: what is said about them
// must not move this namespace's pods.
func (d *Demand) Downloads(node string) int { return d.rooms[node].downloads }

// Facts are those of a node in this rack and zone, without the pods.
func (d *Demand) Facts(node, rack, zone string) Facts {
	h := d.held[node]
	return Facts{
		Total: d.knownTotal(), Held: h.Bytes, Downloading: h.Downloading, Caches: d.Caches(), Cached: d.cached[node],
		Rack: d.racks[rack], Zone: d.zones[zone], Downloads: d.rooms[node].downloads,
	}
}

// NodesWithoutRoom returns the nodes whose store is known to lack room for a pod's data, in no
// order. A node that lacks nothing of it has room, however full it is.
func (d *Demand) NodesWithoutRoom() []string {
	var nodes []string
	for node, r := range d.rooms {
		if d.MissingBytes(node) > 0 && r.available < d.RoomNeeded(node) {
			nodes = append(nodes, node)
		}
	}
	return nodes
}
