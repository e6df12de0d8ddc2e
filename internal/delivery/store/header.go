// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

// Digest of the whole, as in the Manifest, whose entries it leaves packed.
func (l *Lease) Digest() string { return l.header.Digest }

// Bytes of all files, likewise.
func (l *Lease) Bytes() int64 { return l.header.Bytes }

// Current reports whether the lease still keeps the snapshot. It does not after
// the store, or a part of it, was deleted by hand.
func (l *Lease) Current() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return isCurrentLock(l.lock, l.path) && isDir(l.dir)
}
