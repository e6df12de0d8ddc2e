// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"
)

// Stock is what a store has, and for how much more there is room. All numbers
// are bytes. It is not exact to the byte while processes download.
type Stock struct {
	// ID of the store.
	ID string
	// Snapshots that are complete, least recently used first.
	Snapshots []Snapshot
	// Downloads that a process is at.
	Downloads []Snapshot
	// Capacity of the file system, and how much of it is free.
	Capacity, Free int64
	// Quota for snapshots and downloads, 0 for none.
	Quota int64
	// Used by complete snapshots.
	Used int64
	// Available is what an urgent download may have once everything that is not
	// needed is evicted: what the quota and the file system's reserve leave.
	Available int64
}

// Stock takes stock. It neither waits for a lock nor blocks other processes.
// With ErrGone it returns an empty store that is no longer there.
func (s *Store) Stock() (*Stock, error) {
	k := &Stock{Quota: s.space.options.Quota}
	var err error
	k.ID, err = s.ID()
	if errors.Is(err, ErrGone) {
		return s.space.emptyStock(k), err
	}
	if err != nil {
		return nil, err
	}
	needed, _, err := s.space.neededAndWanted()
	if err != nil {
		return nil, err
	}
	// Downloads first: one that gets its name meanwhile counts twice rather than
	// not at all.
	r, partials, err := s.space.measureReserved("")
	if err != nil {
		return nil, err
	}
	if k.Downloads, err = s.Downloads(); err != nil {
		return nil, err
	}
	if k.Snapshots, err = s.Snapshots(); err != nil {
		return nil, err
	}
	for _, snapshot := range k.Snapshots {
		k.Used += snapshot.Bytes
	}
	r.used = k.Used
	k.Capacity, k.Free = r.size, r.free
	left := r
	for _, snapshot := range k.Snapshots {
		if !needed[snapshot.ID] && !isLocked(s.leaseLock(snapshot.ID)) {
			left = left.withoutCandidate(candidate{bytes: snapshot.Bytes})
			left.free += snapshot.Bytes
		}
	}
	for _, p := range partials {
		p.allocated = allocatedBytes(s.partialDir(p.id))
		left.missing -= min(p.bytes, p.allocated)
		if !isLocked(s.writerLock(p.id)) {
			left = left.withoutCandidate(p)
			left.free += p.allocated
		}
	}
	k.Available = left.maxDownload()
	k.Downloads = slices.DeleteFunc(k.Downloads, func(d Snapshot) bool { return !isLocked(s.writerLock(d.ID)) })
	return k, nil
}

// emptyStock is the stock of a store that was deleted. What is made in its place
// will have the same room.
func (s *space) emptyStock(k *Stock) *Stock {
	k.ID = newID()
	// What cannot be asked is no room.
	k.Capacity, k.Free, _ = s.fileSystem()
	k.Available = room{quota: k.Quota, free: k.Free, reserve: s.options.Reserve.Of(k.Capacity)}.maxDownload()
	return k
}

// maxDownload is how many bytes a large download may have.
func (r room) maxDownload() int64 {
	n := r.writableBytes(smallDownload + 1)
	if r.quota > 0 {
		n = min(n, max(r.quota-r.used-r.promised, 0))
	}
	return n
}

// isLocked reports whether a process holds a lock. What cannot be asked is left alone.
// It looks at no more locks than it must: who just wants to have one without
// waiting takes the look for a holder.
func isLocked(path string) bool {
	if !pathExists(path) {
		return false
	}
	f, err := lockFile(path, unix.LOCK_EX|unix.LOCK_NB)
	unlockFile(f)
	return err != nil
}
