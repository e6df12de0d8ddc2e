// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

// Revision is the protocol's revision that this code knows.
const Revision = 1

// Limits of the protocol, in bytes.
const (
	// MaxMessage bounds every message from a plugin.
	MaxMessage = 4 << 20
	// MaxRequest bounds every message to a plugin.
	MaxRequest = 1 << 20
	// MaxEntry bounds all texts of one entry together.
	MaxEntry = 16 << 10
	// MaxIdentity bounds the name of a storage system.
	MaxIdentity = 1 << 10
	// ChunkBytes is how much file content a message carries: it is copied a few
	// times, and this much stays in a processor's cache.
	ChunkBytes = 256 << 10
)
