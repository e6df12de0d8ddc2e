// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package fairshare

import (
	"container/list"
	"sync"
)

// Pool is something scarce. It is safe for concurrent use.
type Pool struct {
	mu       sync.Mutex
	capacity int64
	used     int64
	holders  map[string]*holder
	// clock orders uses of grants.
	clock uint64
}

// holder is a caller with at least one grant.
type holder struct {
	used int64
	// grants has the least recently used one in front.
	grants list.List
}

// Grant is a part of a pool that a caller holds.
type Grant struct {
	pool     *Pool
	key      string
	size     int64
	lastUsed uint64
	evict    func()
	// place is nil when the grant was released or taken away.
	place *list.Element
}

// NewPool returns a pool of that many units, of which none is held.
func NewPool(capacity int64) *Pool {
	return &Pool{capacity: capacity, holders: make(map[string]*holder)}
}

// Used returns how many units are held.
func (p *Pool) Used() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used
}

// Acquire gives the caller size units. Where the pool is full, grants of the
// callers that hold most are taken away, each by a call of its evict function,
// which must return at once and must not use the pool. It reports false when
// the caller holds most itself and has no other grant to give up, and when
// size is more than the pool has.
func (p *Pool) Acquire(key string, size int64, evict func()) (*Grant, bool) {
	g := &Grant{pool: p, key: key, evict: evict}
	evicted, ok := p.growGrant(g, size)
	for _, e := range evicted {
		e.evict()
	}
	return g, ok
}

// Grow adds to what the grant holds, under the conditions of Acquire. It reports
// whether there is room; if not, or if the grant was taken away, the grant stays
// as it is.
func (g *Grant) Grow(size int64) bool {
	evicted, ok := g.pool.growGrant(g, size)
	for _, e := range evicted {
		e.evict()
	}
	return ok
}

// Touch says that the grant is in use now.
func (g *Grant) Touch() {
	p := g.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if g.place == nil {
		return
	}
	p.clock++
	g.lastUsed = p.clock
	p.holders[g.key].grants.MoveToBack(g.place)
}

// Move hands the grant to another holder, such as the callers of an address that
// have proved to be of use: they are not counted with those that have not.
func (g *Grant) Move(key string) {
	p := g.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if g.place == nil || g.key == key {
		return
	}
	size := g.size
	p.removeGrant(g)
	g.key, g.size = key, 0
	p.addSize(g, size)
}

// Release gives the units back. It may be called more than once.
func (g *Grant) Release() {
	g.pool.mu.Lock()
	defer g.pool.mu.Unlock()
	if g.place != nil {
		g.pool.removeGrant(g)
	}
}

// growGrant returns the grants that have to be told that they were taken away.
func (p *Pool) growGrant(g *Grant, size int64) ([]*Grant, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if g.size > 0 && g.place == nil {
		return nil, false
	}
	var evicted []*Grant
	for p.used+size > p.capacity {
		victim := p.findVictim(g, size)
		if victim == nil {
			return evicted, false
		}
		p.removeGrant(victim)
		evicted = append(evicted, victim)
	}
	p.addSize(g, size)
	return evicted, true
}

// findVictim returns the grant to take away in favour of g, or nil: of the caller
// that holds most the one that it has used least recently. Between callers that
// hold the same, the one that was silent for longer gives way.
func (p *Pool) findVictim(g *Grant, size int64) *Grant {
	own := size
	if h := p.holders[g.key]; h != nil {
		own += h.used
	}
	var victim *Grant
	most := int64(0)
	for key, h := range p.holders {
		if key != g.key && h.used < own {
			continue
		}
		candidate := oldestGrant(h, g)
		if candidate == nil || h.used < most {
			continue
		}
		if victim == nil || h.used > most || candidate.lastUsed < victim.lastUsed {
			victim, most = candidate, h.used
		}
	}
	return victim
}

// oldestGrant returns the least recently used grant that is not g.
func oldestGrant(h *holder, g *Grant) *Grant {
	for e := h.grants.Front(); e != nil; e = e.Next() {
		if candidate, ok := e.Value.(*Grant); ok && candidate != g {
			return candidate
		}
	}
	return nil
}

func (p *Pool) addSize(g *Grant, size int64) {
	h := p.holders[g.key]
	if h == nil {
		h = &holder{}
		p.holders[g.key] = h
	}
	p.clock++
	g.lastUsed = p.clock
	if g.place == nil {
		g.place = h.grants.PushBack(g)
	} else {
		h.grants.MoveToBack(g.place)
	}
	g.size += size
	h.used += size
	p.used += size
}

func (p *Pool) removeGrant(g *Grant) {
	h := p.holders[g.key]
	h.grants.Remove(g.place)
	g.place = nil
	h.used -= g.size
	p.used -= g.size
	if h.grants.Len() == 0 {
		delete(p.holders, g.key)
	}
}
