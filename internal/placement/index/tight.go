// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package index

// Tight are the nodes whose store is known to lack room for a pod's data, in no
// order. A node that lacks nothing of it has room, however full it is.
func (d *Demand) Tight() []string {
	var nodes []string
	for node, r := range d.rooms {
		if d.MissingBytes(node) > 0 && r.available < d.RoomNeeded(node) {
			nodes = append(nodes, node)
		}
	}
	return nodes
}
