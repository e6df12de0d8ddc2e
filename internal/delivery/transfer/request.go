// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/cache"
)

// Request asks for one item.
type Request struct {
	// Source to read from.
	Source source.Source
	// Path on the source: a file, or a tree.
	Path string
	// Key names the snapshot. Its Source, Path, Digest, Include, Exclude and
	// Mode must agree with the request; see NewRequest.
	Key snapshot.Key
	// Include and Exclude choose files of a tree: * stays within a segment, **
	// crosses them. No Include means all; Exclude wins.
	Include, Exclude []string
	// Digest that the bytes must have, "sha256:<hex>", or "".
	Digest string
	// Mode is given to every file; nil for the source's, or 0644.
	Mode *fs.FileMode
	// Direct: what the source lists was not put there by a proxy of the settings,
	// so files of an older release's store (Options.Legacy) may be compared with it.
	Direct bool
	// Cache is a cache in front of the source; nil for none. What comes from it is
	// proved by what the source promises.
	Cache *cache.Cache
	// Urgent: a pod waits for it, and what the store only keeps for later makes
	// room (store.Writer.Urgent).
	Urgent bool
	// Progress is told how it goes: at once when the state changes, else a few
	// times a second. It is called from one goroutine at a time, never after
	// Deliver returned, and must return soon. It may be nil.
	Progress func(Progress)
	// Note is told, once each, what a user should know although the delivery goes
	// on, such as that a server does not do what it says it can. It may be nil.
	Note func(text string)
	// Flushing is told where the files of a snapshot are, and which, when all
	// of them are there and right, and on their way to the disk: for what takes
	// time and may be thrown away should the delivery fail all the same. It is
	// called at most once, before Deliver returns, and not at all where the
	// snapshot is in the store already. The directory loses its name meanwhile;
	// the manifest must not be written to. It may be nil.
	Flushing func(dir string, m *snapshot.Manifest)
}

// NewRequest returns the request whose fields are those of a key.
func NewRequest(s source.Source, key snapshot.Key, progress func(Progress)) Request {
	return Request{Source: s, Path: key.Path, Key: key, Include: key.Include, Exclude: key.Exclude,
		Digest: key.Digest, Mode: key.Mode, Progress: progress}
}

// State is what a delivery is doing.
type State string

// The states of a delivery.
const (
	// Waiting for another process of the node that downloads the same snapshot.
	Waiting State = "Waiting"
	// Listing the source.
	Listing State = "Listing"
	// Downloading, perhaps while still listing.
	Downloading State = "Downloading"
	// Verifying digests, and flushing to the disk.
	Verifying State = "Verifying"
)

// Progress of a delivery.
type Progress struct {
	State State
	// Done bytes are on the disk: downloaded, resumed or linked.
	Done int64
	// Total bytes as far as they are known; final once listing has ended.
	Total int64
	// Files that are known, links included.
	Files int
	// Received bytes came over the network in this call.
	Received int64
	// Cached of them came from the source's cache.
	Cached int64
}

// Origin tells where a delivered snapshot came from.
type Origin string

// The origins.
const (
	// OriginSource: this call downloaded it.
	OriginSource Origin = "Source"
	// OriginCache: this call downloaded it, most of it from the source's cache.
	OriginCache Origin = "Cache"
	// OriginNode: it was in the node's store already, or another process
	// downloaded it meanwhile.
	OriginNode Origin = "Node"
)

// Result of a delivery.
type Result struct {
	// Lease of the snapshot; the caller closes it.
	Lease *store.Lease
	// Origin of the bytes.
	Origin Origin
	// Received bytes came over the network in this call.
	Received int64
	// Reused bytes were hard-linked from older snapshots or kept from an
	// earlier attempt.
	Reused int64
	// Cache is what the source's cache did; nil where the source has none.
	Cache *CacheUse
}

// CacheUse is what a cache did for a delivery, in bytes.
type CacheUse struct {
	// Served came from the cache and were proved, Source came from the source, and
	// Rejected came from the cache and were not what the source promised.
	Served, Source, Rejected int64
	// Fallbacks are bytes that the cache did not serve, by the reasons of package cache.
	Fallbacks map[string]int64
	// Message is the first error of the cache, "" if there is none.
	Message string
}

// Reason returns the reason with the most bytes, "" if there is none.
func (u *CacheUse) Reason() string { return mostBytes(u.Fallbacks) }

// mostBytes returns the reason with the most bytes.
func mostBytes(fallbacks map[string]int64) string {
	most := ""
	for _, reason := range slices.Sorted(maps.Keys(fallbacks)) {
		if most == "" || fallbacks[reason] > fallbacks[most] {
			most = reason
		}
	}
	return most
}

// DigestMismatchError tells that the bytes are not those that were promised.
type DigestMismatchError struct {
	// Path of the file below the item, "" for the item as a whole.
	Path string
	// Want and Got are digests, "sha256:<hex>".
	Want, Got string
}

// Error names both digests.
func (e *DigestMismatchError) Error() string {
	what := "the item"
	if e.Path != "" {
		what = fmt.Sprintf("the file %q", e.Path)
	}
	return fmt.Sprintf("digest mismatch: %s has %s instead of %s; check the source or correct the digest", what, e.Got, e.Want)
}
