// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	"oras.land/oras-go/v2/registry"
)

// reference is what a path names.
type reference struct {
	repository string
	// version is a tag or a digest.
	version string
	// inside is the part of the tree, without slashes around it; "" is all.
	inside string
	// dir tells that the part must be a directory.
	dir bool
}

// parseReference reads a path. Slashes before it do not count.
func parseReference(path string) (reference, error) {
	name, inside, _ := strings.Cut(strings.TrimLeft(path, "/"), "//")
	bad := func(reason string) (reference, error) {
		return reference{}, fmt.Errorf("the path %q is not one such as team/model:v1, team/model@sha256:… or team/model:v1//directory: %s",
			path, reason)
	}
	// The host is a stand-in: a path has none.
	r, err := registry.ParseReference("localhost/" + strings.TrimRight(name, "/"))
	if err != nil {
		return bad("it has no repository name with a tag or digest")
	}
	if r.Reference == "" {
		return bad("it has no tag and no digest; say which version it is")
	}
	if strings.Contains(r.Reference, ":") {
		if err := digest.Digest(r.Reference).Validate(); err != nil {
			return bad("its digest is malformed")
		}
	}
	return reference{
		repository: r.Repository,
		version:    r.Reference,
		inside:     strings.Trim(inside, "/"),
		dir:        strings.HasSuffix(inside, "/"),
	}, nil
}

// manifestDigest is the digest that the manifest must have, "" for a tag.
func (r reference) manifestDigest() digest.Digest {
	if strings.Contains(r.version, ":") {
		return digest.Digest(r.version)
	}
	return ""
}

// displayName is what messages call the manifest.
func (r reference) displayName() string {
	if r.manifestDigest() != "" {
		return r.repository + "@" + r.version
	}
	return r.repository + ":" + r.version
}
