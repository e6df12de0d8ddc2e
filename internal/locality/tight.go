// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package locality

// Tight are the nodes whose store is known to lack room for what a pod would have
// to download there, in no order.
func (d *Demand) Tight() []string {
	var nodes []string
	for node, r := range d.rooms {
		if r.available < d.MissingBytes(node) {
			nodes = append(nodes, node)
		}
	}
	return nodes
}
