// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

// Digest of the whole, as in the Manifest, whose entries it leaves packed.
func (l *Lease) Digest() string { return l.header.Digest }

// Bytes of all files, likewise.
func (l *Lease) Bytes() int64 { return l.header.Bytes }
