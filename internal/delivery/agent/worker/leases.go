// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"sync"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
)

// holder is who needs a lease.
type holder uint8

const (
	// passes hold what the current and the previous revision are made of, and
	// what the one that is on its way is.
	passes holder = 1 << iota
	// prefetches hold what may be asked for later.
	prefetches
)

// leases are those of one DataSet. A snapshot is leased once, whoever holds it.
type leases struct {
	store *store.Store

	mu   sync.Mutex
	held map[snapshot.ID]*held
}

// held is one lease.
type held struct {
	lease *store.Lease
	// verified: this process knows that the snapshot is whole.
	verified bool
	holders  holder
}

func newLeases(s *store.Store) *leases {
	return &leases{store: s, held: map[snapshot.ID]*held{}}
}

// reuseLease returns a lease of a snapshot that is on disk and whole, or an error.
// Each process checks a snapshot once before it relies on it.
func (l *leases) reuseLease(ctx context.Context, id snapshot.ID, h holder) (*store.Lease, error) {
	l.mu.Lock()
	known := l.held[id]
	if known != nil && !known.lease.Current() {
		// The store was deleted, or the snapshot was damaged and made anew.
		_ = known.lease.Close()
		delete(l.held, id)
		known = nil
	}
	if known != nil && known.verified && !l.store.InDoubt(id) {
		known.holders |= h
		l.mu.Unlock()
		return known.lease, nil
	}
	l.mu.Unlock()
	if err := l.store.Recheck(ctx, id); err != nil {
		l.dropLease(id)
		return nil, err
	}
	if known != nil {
		return l.holdLease(known.lease, h), nil
	}
	lease, err := l.store.Lease(id)
	if err != nil {
		return nil, err
	}
	return l.holdLease(lease, h), nil
}

// holdLease keeps a lease of a snapshot that is known to be whole; of two leases of
// the same one the older is kept.
func (l *leases) holdLease(lease *store.Lease, h holder) *store.Lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.held[lease.ID()]
	if known == nil {
		known = &held{lease: lease}
		l.held[lease.ID()] = known
	} else if known.lease != lease {
		_ = lease.Close()
	}
	known.verified = true
	known.holders |= h
	return known.lease
}

// keepOnly makes a holder hold the snapshots with these names and no others. One
// that was only remembered is leased if it is still there.
func (l *leases) keepOnly(h holder, ids map[snapshot.ID]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, known := range l.held {
		if ids[id] {
			continue
		}
		if known.holders &^= h; known.holders == 0 {
			_ = known.lease.Close()
			delete(l.held, id)
		}
	}
	for id := range ids {
		if known := l.held[id]; known != nil {
			known.holders |= h
			continue
		}
		// If it was evicted meanwhile, it is downloaded when it is needed.
		if lease, err := l.store.Lease(id); err == nil {
			l.held[id] = &held{lease: lease, holders: h}
		}
	}
}

// isDoubtful reports whether a snapshot that is held is marked to be read, or was taken
// away.
func (l *leases) isDoubtful() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, known := range l.held {
		if l.store.InDoubt(id) || !known.lease.Current() {
			return true
		}
	}
	return false
}

// dropLease ends a lease of what turned out to be damaged.
func (l *leases) dropLease(id snapshot.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known := l.held[id]; known != nil {
		_ = known.lease.Close()
		delete(l.held, id)
	}
}

// close ends all leases.
func (l *leases) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, known := range l.held {
		_ = known.lease.Close()
		delete(l.held, id)
	}
}
