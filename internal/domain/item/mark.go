// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package item

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// Length is that of a mark in characters.
const Length = 32

// Mark names what an item's bytes are to be: two items with the same mark have
// the same snapshot. Credentials and ways to the source have no part in it. The
// source may be nil, as it is of an item that refers to none.
func Mark(i *gatewayv1alpha1.Item, s *gatewayv1alpha1.Source) string {
	return Digest(struct {
		Source, Path, Version, Digest string
		Include, Exclude              []string
		Mode                          *uint32
	}{sourceIdentity(s), i.GetRemotePath(), i.GetVersion(), i.GetDigest(), i.GetInclude(), i.GetExclude(), i.Mode})
}

// Valid reports whether a string has the form of a mark.
func Valid(mark string) bool {
	return len(mark) == Length && strings.Trim(mark, "0123456789abcdef") == ""
}

// Digest is a short hash of a value's JSON: 32 hex digits.
func Digest(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:Length/2])
}
