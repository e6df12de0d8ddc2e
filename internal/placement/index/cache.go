// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package index

import (
	"maps"
	"time"
)

// CacheLimit is how long it is believed what a cache holds: it drops what it has no room
// for, and nothing tells of it.
const CacheLimit = 24 * time.Hour

// Cache is what the caches in front of a DataSet's sources hold of what new pods get.
type Cache struct {
	Namespace, DataSet string
	// Observed is when that was so.
	Observed time.Time
	// Total bytes that may come from the caches.
	Total int64
	// Hosts that hold some of them, by their names or addresses.
	Hosts map[string]int64
}

// SetCache takes what caches hold; one without hosts forgets what was known.
func (x *Index) SetCache(c Cache) {
	x.mu.Lock()
	defer x.mu.Unlock()
	known := x.caches[c.Namespace]
	before, ok := known[c.DataSet]
	switch {
	case len(c.Hosts) == 0 && !ok:
		return
	case len(c.Hosts) == 0:
		delete(known, c.DataSet)
		if len(known) == 0 {
			delete(x.caches, c.Namespace)
		}
	case ok && before.Observed.Equal(c.Observed) && before.Total == c.Total && maps.Equal(before.Hosts, c.Hosts):
		return
	default:
		if known == nil {
			known = map[string]Cache{}
			x.caches[c.Namespace] = known
		}
		known[c.DataSet] = c
	}
	delete(x.answers, c.Namespace)
}

// setHosts takes the names and addresses of a node, and is called with the lock held.
func (x *Index) setHosts(node string, before, after []string) {
	for _, host := range before {
		if x.hosts[host] == node {
			delete(x.hosts, host)
		}
	}
	for _, host := range after {
		x.hosts[host] = node
	}
	for namespace := range x.caches {
		delete(x.answers, namespace)
	}
}

// countCached adds up what caches hold of a demand. It is called with the lock held.
func (x *Index) countCached(d *Demand, namespace string) {
	seen := map[string]bool{}
	for i := range d.Wants {
		name := d.Wants[i].DataSet
		c, ok := x.caches[namespace][name]
		if !ok || seen[name] || x.options.now().Sub(c.Observed) > CacheLimit {
			continue
		}
		seen[name] = true
		d.cacheTotal += c.Total
		for host, bytes := range c.Hosts {
			if node := x.hosts[host]; node != "" {
				d.cached[node] += min(bytes, c.Total)
			}
		}
	}
}

// Caches reports whether caches were filled with some of the demand.
func (d *Demand) Caches() bool { return d.cacheTotal > 0 }

// CachedOn is how many bytes a cache has on a node.
func (d *Demand) CachedOn(node string) int64 { return d.cached[node] }

// knownTotal returns the bytes that the pod wants, as far as they are known: by nodes, or by
// caches.
func (d *Demand) knownTotal() int64 { return max(d.Total, d.cacheTotal) }
