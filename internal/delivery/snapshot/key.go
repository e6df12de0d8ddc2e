// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"strings"
)

// Key is everything that decides what a snapshot holds, and who may have it.
// Equal keys share one snapshot.
type Key struct {
	// Source is the identity of the storage system (source.Source.Identity).
	Source string `json:"source"`
	// Way is what else decides whose bytes arrive from it (source.Provenance). Source
	// and Way together are the origin.
	Way string `json:"way,omitempty"`
	// Principal is who asked: what Store.Principal makes of it, "" for who had no
	// credentials.
	Principal string `json:"principal,omitempty"`
	// Path on the source.
	Path string `json:"path"`
	// Version of the data.
	Version string `json:"version"`
	// Digest that the bytes must have, "sha256:<hex>", or "".
	Digest string `json:"digest,omitempty"`
	// Include and Exclude are the patterns that choose files of a tree.
	Include []string `json:"include,omitempty"`
	Exclude []string `json:"exclude,omitempty"`
	// Mode has the permission bits that every file gets, nil for the source's.
	Mode *fs.FileMode `json:"mode,omitempty"`
}

// SameOrigin reports whether two snapshots come from one storage system by ways
// on which the same servers answer.
func (k Key) SameOrigin(other Key) bool { return k.Source == other.Source && k.Way == other.Way }

// ID names a snapshot; it is a file name.
type ID string

// ID returns the name of the key's snapshot.
func (k Key) ID() ID {
	text, err := json.Marshal(k)
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	sum := sha256.Sum256(text)
	return ID(hex.EncodeToString(sum[:20]))
}

// Valid reports whether an ID has the form that Key.ID gives.
func (id ID) Valid() bool {
	return len(id) == 40 && strings.Trim(string(id), "0123456789abcdef") == ""
}
