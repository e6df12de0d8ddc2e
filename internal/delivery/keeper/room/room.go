// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package room

import (
	"cmp"
	"slices"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/keeper/census"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
)

// Limits are those of a node.
type Limits struct {
	// Quota is how many bytes the snapshots and downloads of all stores may have together; 0
	// for none.
	Quota int64
	// High and Low are the watermarks, in percent: once more than High of the quota is in
	// use, or less of the file system is free than store.FreeBelow, whoever fills it,
	// snapshots are evicted down to Low.
	High, Low int
	// Reserve of the file system is to be left free, in bytes; 0 for none.
	Reserve int64
}

// Disk is the file system, in bytes.
type Disk struct{ Size, Free int64 }

// Candidate is a snapshot that may be evicted.
type Candidate struct {
	Place census.Place
	ID    snapshot.ID
	Bytes int64
	Used  time.Time
}

// Picker proposes what to evict, one after the other.
type Picker struct {
	limits     Limits
	disk       Disk
	candidates []Candidate // least recently used first
	used       map[census.Place]int64
	total      int64
	evicting   bool
}

// NewPicker returns a picker for what stores hold.
func NewPicker(stores []*census.Store, limits Limits, disk Disk) *Picker {
	p := &Picker{limits: limits, disk: disk, used: map[census.Place]int64{}}
	for _, s := range stores {
		for i := range s.Snapshots {
			snap := &s.Snapshots[i]
			p.used[s.Place] += snap.Bytes
			if !snap.Needed && !snap.Wanted && !snap.Leased {
				p.candidates = append(p.candidates, Candidate{Place: s.Place, ID: snap.ID, Bytes: snap.Bytes, Used: snap.Used})
			}
		}
		for i := range s.Partials {
			p.used[s.Place] += s.Partials[i].Bytes
		}
		p.total += p.used[s.Place]
	}
	slices.SortFunc(p.candidates, func(a, b Candidate) int {
		return cmp.Or(a.Used.Compare(b.Used), cmp.Compare(a.Place.Namespace, b.Place.Namespace),
			cmp.Compare(a.Place.UID, b.Place.UID), cmp.Compare(a.ID, b.ID))
	})
	p.evicting = p.isAbove(limits.High)
	return p
}

// Next returns what to evict next; false where nothing is to be evicted, or nothing can be.
func (p *Picker) Next() (Candidate, bool) {
	if !p.evicting || !p.isAbove(p.limits.Low) || len(p.candidates) == 0 {
		return Candidate{}, false
	}
	share := p.share()
	at := slices.IndexFunc(p.candidates, func(c Candidate) bool { return p.used[c.Place] > share })
	if at < 0 && !p.isDiskAbove(p.limits.Low) {
		// The stores above their share have nothing to evict, and what they say of their
		// size may not be true. The others keep what the quota leaves them.
		return Candidate{}, false
	}
	at = max(at, 0)
	c := p.candidates[at]
	p.candidates = slices.Delete(p.candidates, at, at+1)
	return c, true
}

// Evicted tells that a candidate is gone, and what the disk is like now.
func (p *Picker) Evicted(c Candidate, disk Disk) {
	p.used[c.Place] -= c.Bytes
	p.total -= c.Bytes
	p.disk = disk
}

// share is what each store may have, in bytes, before the others lose anything to it.
func (p *Picker) share() int64 {
	stores := int64(0)
	for _, used := range p.used {
		if used > 0 {
			stores++
		}
	}
	whole := p.total
	if p.disk.Size > 0 {
		whole = min(whole, p.disk.Size-p.disk.Free)
	}
	if p.limits.Quota > 0 {
		whole = min(whole, store.Amount{Percent: p.limits.Low}.Of(p.limits.Quota))
	}
	return whole / max(stores, 1)
}

// isAbove reports whether more than percent of what there may be is in use.
func (p *Picker) isAbove(percent int) bool {
	return p.limits.Quota > 0 && p.total > store.Amount{Percent: percent}.Of(p.limits.Quota) || p.isDiskAbove(percent)
}

// isDiskAbove reports whether less of the file system is free than at the watermark.
func (p *Picker) isDiskAbove(percent int) bool {
	return p.disk.Free < store.FreeBelow(percent, min(p.limits.Reserve, p.disk.Size))
}
