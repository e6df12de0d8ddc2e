// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package index

import (
	"cmp"
	"slices"
	"strings"
)

// answers are the Demands that were computed for one namespace.
type answers struct {
	// rooms of the nodes whose store of the namespace is trusted.
	rooms   map[string]room
	demands map[string]*Demand
}

// maxAnswers bounds what is remembered for one namespace, and for how many.
const maxAnswers = 1024

// Demand returns what a pod of the namespace wants. Equal questions get the same
// answer until something changed; it must not be written to.
func (x *Index) Demand(namespace string, wants []Want) *Demand {
	name := wantsKey(wants)
	x.mu.RLock()
	d := x.cachedDemand(namespace, name)
	x.mu.RUnlock()
	if d != nil {
		return d
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	// Of many concurrent callers, only the first computes the Demand.
	if d := x.cachedDemand(namespace, name); d != nil {
		return d
	}
	a := x.answers[namespace]
	if a == nil {
		a = &answers{rooms: x.nodeRooms(namespace), demands: map[string]*Demand{}}
		if len(x.answers) >= maxAnswers {
			clear(x.answers)
		}
		x.answers[namespace] = a
	}
	if len(a.demands) >= maxAnswers {
		clear(a.demands)
	}
	d = x.computeDemand(namespace, wants, a.rooms)
	a.demands[name] = d
	return d
}

// cachedDemand is called with the lock held for reading.
func (x *Index) cachedDemand(namespace, name string) *Demand {
	if a := x.answers[namespace]; a != nil {
		return a.demands[name]
	}
	return nil
}

// nodeRooms is called with the lock held.
func (x *Index) nodeRooms(namespace string) map[string]room {
	rooms := map[string]room{}
	for node, entry := range x.stores {
		if x.isTrusted(node, namespace) {
			rooms[node] = entry.stores[namespace].room
		}
	}
	return rooms
}

// computeDemand is called with the lock held.
func (x *Index) computeDemand(namespace string, wants []Want, rooms map[string]room) *Demand {
	d := &Demand{
		Wants: slices.Clone(wants), Sizes: make([]int64, len(wants)), complete: make([]map[string]bool, len(wants)),
		held: map[string]Held{}, cached: map[string]int64{}, zones: map[string]int64{}, racks: map[string]int64{}, rooms: rooms,
	}
	seen := make(map[string]bool, len(wants))
	for i, w := range wants {
		if w.Required {
			d.Required++
		}
		// What is wanted twice is one snapshot: it is downloaded once.
		x.countHolders(d, namespace, i, !seen[w.Mark])
		seen[w.Mark] = true
	}
	x.countCached(d, namespace)
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

// countHolders adds up who has the i-th want.
func (x *Index) countHolders(d *Demand, namespace string, i int, countBytes bool) {
	on := x.holders[key{namespace, d.Wants[i].Mark}]
	d.complete[i] = make(map[string]bool, len(on))
	zones, racks := map[string]bool{}, map[string]bool{}
	for node, have := range on {
		// What is not believed of a node still tells how large it is.
		d.Sizes[i] = max(d.Sizes[i], have.bytes)
		if !x.isTrusted(node, namespace) {
			continue
		}
		h, bytes := d.held[node], have.bytes
		if !countBytes {
			bytes = 0
		}
		if have.downloading {
			h.Downloading += bytes
		} else {
			h.Bytes += bytes
			if !have.pinned {
				h.Loose += bytes
			}
			h.Items++
			if d.Wants[i].Required {
				h.Required++
			}
			d.complete[i][node] = true
			zones[x.nodes[node].Zone], racks[x.nodes[node].Rack] = true, true
		}
		d.held[node] = h
	}
	if countBytes {
		d.Total += d.Sizes[i]
		addBytes(d.zones, zones, d.Sizes[i])
		addBytes(d.racks, racks, d.Sizes[i])
	}
}

func addBytes(sums map[string]int64, places map[string]bool, bytes int64) {
	for place := range places {
		if place != "" {
			sums[place] += bytes
		}
	}
}

// wantsKey is the same for equal wants. The version has its part in the mark.
func wantsKey(wants []Want) string {
	var b strings.Builder
	for i := range wants {
		w := &wants[i]
		b.WriteString(w.Mark)
		if w.Required {
			b.WriteByte('!')
		}
		b.WriteByte(' ')
		b.WriteString(w.DataSet)
		b.WriteByte(' ')
		b.WriteString(w.Item)
		b.WriteByte('\n')
	}
	return b.String()
}
