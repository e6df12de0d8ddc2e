// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hdfs

import (
	"cmp"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/kuda-io/kuda/internal/source/hdfs/wire"
)

const (
	// avoid is how long a datanode that failed is the last choice.
	avoid = 30 * time.Second
	// The bounds of the pause after which another replica is asked too, and what
	// it is before anything was learnt. See latency.
	leastPatience, mostPatience = 200 * time.Millisecond, 5 * time.Second
	firstPatience               = time.Second
	patience95                  = 3
)

// health is what was learnt about datanodes.
type health struct {
	mu    sync.Mutex
	nodes map[string]*nodeHealth
	// first are the last times to a first byte, in a ring.
	first []time.Duration
	at    int
}

type nodeHealth struct {
	busy   int // ranges that are read from it now
	failed time.Time
}

const keptTimes = 128

func (h *health) nodeState(address string) *nodeHealth {
	if h.nodes == nil {
		h.nodes = map[string]*nodeHealth{}
	}
	n := h.nodes[address]
	if n == nil {
		n = &nodeHealth{}
		h.nodes[address] = n
	}
	return n
}

// beginRead and endRead bracket the reading of a range.
func (h *health) beginRead(address string) { h.addReads(address, 1) }
func (h *health) endRead(address string)   { h.addReads(address, -1) }

func (h *health) addReads(address string, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.nodeState(address).busy += n
}

// recordFailure notes that a datanode failed.
func (h *health) recordFailure(address string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.nodeState(address).failed = time.Now()
}

// recordLatency notes how long a datanode took to its first byte.
func (h *health) recordLatency(address string, took time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.nodeState(address).failed = time.Time{}
	if len(h.first) < keptTimes {
		h.first = append(h.first, took)
		return
	}
	h.first[h.at] = took
	h.at = (h.at + 1) % keptTimes
}

// hedgeDelay returns how long to wait for a first byte before another replica is asked.
func (h *health) hedgeDelay() time.Duration {
	h.mu.Lock()
	times := slices.Clone(h.first)
	h.mu.Unlock()
	return patienceOf(times)
}

// patienceOf is a multiple of the time in which 95 % of the answers came.
func patienceOf(times []time.Duration) time.Duration {
	if len(times) < 16 {
		return firstPatience
	}
	slices.Sort(times)
	return min(max(patience95*times[len(times)*95/100], leastPatience), mostPatience)
}

// orderReplicas returns the replicas in the order in which to try them.
func (h *health) orderReplicas(nodes []wire.Datanode, now time.Time) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	candidates := make([]candidate, len(nodes))
	for i, n := range nodes {
		known := h.nodeState(n.Address)
		candidates[i] = candidate{address: n.Address, local: isLocal(n.Address), near: n.Rack == nodes[0].Rack,
			failed: now.Sub(known.failed) < avoid, busy: known.busy}
	}
	return orderOf(candidates)
}

// candidate is a replica, with all that decides when it is tried.
type candidate struct {
	address string
	// local ones are on this machine, near ones in the rack of the first one: the
	// namenode puts the nearest first.
	local, near bool
	failed      bool
	busy        int
}

// orderOf keeps the namenode's order, except that those that failed come last
// and that the ranges of one block spread over replicas that are equally near.
func orderOf(candidates []candidate) []string {
	bit := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int {
		return cmp.Or(bit(a.failed)-bit(b.failed), bit(b.local)-bit(a.local), bit(b.near)-bit(a.near), a.busy-b.busy)
	})
	addresses := make([]string, len(candidates))
	for i, c := range candidates {
		addresses[i] = c.address
	}
	return addresses
}

var ownAddresses = sync.OnceValue(func() map[string]bool {
	own := map[string]bool{}
	addresses, _ := net.InterfaceAddrs() // without them none is local
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok {
			own[n.IP.String()] = true
		}
	}
	return own
})

func isLocal(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	return ownAddresses()[host]
}
