// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package census

import (
	"time"

	"github.com/kuda-io/kuda/internal/delivery/confined"
	"github.com/kuda-io/kuda/internal/delivery/keeper/published"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
)

// Place is where a store is: below the directory of all stores, a directory with the
// namespace's name, and in that one with its UID.
type Place struct{ Namespace, UID string }

// String is the place for messages.
func (p Place) String() string { return p.Namespace + "/" + p.UID }

// Snapshot is a complete snapshot.
type Snapshot struct {
	store.Snapshot
	// Identity changes when the snapshot is taken away and made again.
	Identity Identity
	// Made is when its manifest was written.
	Made time.Time
	// Needed: a living pod is at it or can go back to it. Wanted: it is preheated.
	Needed, Wanted bool
	// Leased: a process holds a lease of it, as far as that matters: it is not looked for
	// where Needed is set.
	Leased bool
	// Suspect: it is marked to be read before it is served.
	Suspect bool
}

// Identity is which file has a name on a disk.
type Identity struct {
	Device, Inode uint64
	// Born is when the directory was made, as its inode may have been another one's; 0
	// where that is not known. Modified is when the manifest was last written. Both are in
	// nanoseconds since 1970.
	Born, Modified int64
}

// Partial is a download, on its way or left behind.
type Partial struct {
	store.Snapshot
	// Running: a process is at it. Bytes are those that were promised to it.
	Running bool
}

// Store is what one store holds.
type Store struct {
	Place Place
	// ID that the store was made with; "" where there is none yet.
	ID string
	// Snapshots that are complete, and Partials; in no order.
	Snapshots []Snapshot
	Partials  []Partial
	// Users are the UIDs of the living pods that need a snapshot.
	Users map[snapshot.ID][]string
	// Dead are the UIDs of the pods that have a directory and do not live.
	Dead []string
	// Unreadable says what could not be read, for people; "": all was read.
	Unreadable string
}

// Used is how many bytes its complete snapshots have.
func (s *Store) Used() (sum int64) {
	for i := range s.Snapshots {
		sum += s.Snapshots[i].Bytes
	}
	return sum
}

// Options of a Census.
type Options struct {
	// Alive reports whether a pod that has no volume published may live all the same. What
	// is published, or has a runtime, lives in any case.
	Alive func(Place, string) bool
	Now   func() time.Time
}

// Census reads stores. It remembers what it read of manifests, so that looking again
// costs little. It is for one goroutine.
type Census struct {
	options Options
	headers map[headerKey]header
	// round counts looks: what was not seen in the last one is forgotten.
	round int
	// snapshots are those that were kept of all stores in this look, and text the bytes of
	// names of the store that is looked at.
	snapshots, text int
}

type headerKey struct {
	place Place
	id    snapshot.ID
}

type header struct {
	identity Identity
	manifest *snapshot.Manifest
	round    int
}

// New returns a census that has read nothing.
func New(o Options) *Census { return &Census{options: o, headers: map[headerKey]header{}} }

// Begin begins a look at all stores.
func (c *Census) Begin() {
	c.round++
	c.snapshots = 0
}

// keptKey is a key, without its names where those of the store take too much memory.
func (c *Census) keptKey(k snapshot.Key) snapshot.Key {
	c.text += len(k.Source) + len(k.Path) + len(k.Version)
	if c.text > maxStoreText {
		return snapshot.Key{}
	}
	return k
}

// End ends it: what is remembered of stores that were not looked at is forgotten.
func (c *Census) End() {
	for key, h := range c.headers {
		if h.round != c.round {
			delete(c.headers, key)
		}
	}
}

// Look reads a store, whose directory is dir. An error means that the machine has too
// little of something just now, and nothing is known.
func (c *Census) Look(dir *confined.Dir, place Place, volumes published.Volumes) (*Store, error) {
	l := &look{census: c, dir: dir, place: place, volumes: volumes, now: c.options.Now(), until: time.Now().Add(maxTime),
		out: &Store{Place: place}}
	c.text = 0
	for _, step := range []func() error{l.readID, l.readPods, l.readSnapshots, l.readMarks} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return l.out, nil
}
