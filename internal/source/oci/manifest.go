// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/kuda-io/kuda/internal/source"
)

// maxManifest is the size in bytes up to which registries store manifests.
const maxManifest = 4 << 20

// maxNesting is how many indexes may lie within each other.
const maxNesting = 4

// The types of manifest.
const (
	typeManifest       = "application/vnd.oci.image.manifest.v1+json"
	typeIndex          = "application/vnd.oci.image.index.v1+json"
	typeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	typeDockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
)

var acceptManifests = http.Header{"Accept": {strings.Join([]string{typeManifest, typeIndex, typeDockerManifest, typeDockerList}, ", ")}}

// manifest is what is read of a manifest or an index.
type manifest struct {
	MediaType string       `json:"mediaType"`
	Config    descriptor   `json:"config"`
	Layers    []descriptor `json:"layers"`
	Manifests []descriptor `json:"manifests"`
}

// descriptor names a blob or a manifest.
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      digest.Digest     `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations"`
	Platform    *platform         `json:"platform"`
}

// checkFields finds descriptors that nothing can be read by.
func (d descriptor) checkFields() error {
	if err := d.Digest.Validate(); err != nil {
		return fmt.Errorf("the manifest has the digest %q: %w", d.Digest, err)
	}
	if d.Size < 0 {
		return fmt.Errorf("the manifest has a layer of %d bytes", d.Size)
	}
	return nil
}

// checkLayer finds descriptors of layers whose size is missing, or not that of
// what they name.
func (d descriptor) checkLayer() error {
	if d.Size == 0 && d.Digest.Algorithm().FromBytes(nil) != d.Digest {
		return fmt.Errorf("the manifest has no size for the layer %s, or says that it is empty, which its digest is not; push it again", d.Digest)
	}
	return nil
}

// resolveReference returns the manifest that a reference names, for the platform.
func (s *Source) resolveReference(ctx context.Context, op string, r reference) (*manifest, error) {
	m, err := s.fetchManifest(ctx, op, r.repository, r.version, r.manifestDigest())
	for range maxNesting {
		if err != nil || !m.isIndex() {
			return m, err
		}
		var d descriptor
		if d, err = m.choosePlatform(s.platform); err != nil {
			return nil, &source.Error{Op: op, Class: source.ErrMisconfigured, Err: err}
		}
		m, err = s.fetchManifest(ctx, op, r.repository, d.Digest.String(), d.Digest)
	}
	if err != nil || !m.isIndex() {
		return m, err
	}
	return nil, &source.Error{Op: op, Class: source.ErrMisconfigured, Err: errors.New("its indexes lead to ever more indexes")}
}

// fetchManifest fetches one manifest and checks its digest: want, or else the one
// that the registry says.
func (s *Source) fetchManifest(ctx context.Context, op, repository, version string, want digest.Digest) (*manifest, error) {
	response, err := s.client.requestContent(ctx, op, repository, "manifests", version, acceptManifests)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxManifest+1))
	if err != nil {
		return nil, source.Wrap(ctx, op, err)
	}
	if len(text) > maxManifest {
		return nil, &source.Error{Op: op, Class: source.ErrMisconfigured, Err: fmt.Errorf("the manifest is larger than %d bytes", maxManifest)}
	}
	if want == "" {
		want = digest.Digest(response.Header.Get("Docker-Content-Digest"))
	}
	if want != "" {
		if err := verifyDigest(text, want); err != nil {
			return nil, &source.Error{Op: op, Class: source.ErrTemporary, Err: err}
		}
	}
	return parseManifest(op, text, response.Header.Get("Content-Type"))
}

// parseManifest reads a manifest, which may say its own type.
func parseManifest(op string, text []byte, contentType string) (*manifest, error) {
	m := &manifest{}
	if err := json.Unmarshal(text, m); err != nil || (m.Layers == nil && m.Manifests == nil) {
		// A list that is not there is no empty list: something else has answered.
		return nil, &source.Error{Op: op, Class: source.ErrTemporary,
			Err: fmt.Errorf("the registry answered with %s instead of a manifest", source.FirstWords(text))}
	}
	if m.MediaType == "" {
		m.MediaType, _, _ = strings.Cut(contentType, ";")
	}
	return m, m.checkFields(op)
}

func verifyDigest(content []byte, want digest.Digest) error {
	if err := want.Validate(); err != nil {
		return fmt.Errorf("the registry gave the digest %q: %w", want, err)
	}
	if got := want.Algorithm().FromBytes(content); got != want {
		return fmt.Errorf("the manifest that came has the digest %s and not %s", got, want)
	}
	return nil
}

func (m *manifest) isIndex() bool { return m.MediaType == typeIndex || m.MediaType == typeDockerList }

// checkFields finds manifests that cannot be read.
func (m *manifest) checkFields(op string) error {
	switch m.MediaType {
	case typeManifest, typeDockerManifest, typeIndex, typeDockerList:
	default:
		return &source.Error{Op: op, Class: source.ErrMisconfigured,
			Err: fmt.Errorf("its manifest has the type %q, which this source does not read; push it as an OCI artifact or image", m.MediaType)}
	}
	for i, d := range slices.Concat(m.Layers, m.Manifests) {
		err := d.checkFields()
		if err == nil && i < len(m.Layers) {
			err = d.checkLayer()
		}
		if err != nil {
			return &source.Error{Op: op, Class: source.ErrMisconfigured, Err: err}
		}
	}
	return nil
}

// choosePlatform returns the manifest for a platform. An index of a single manifest
// without one has no choice to offer.
func (m *manifest) choosePlatform(want platform) (descriptor, error) {
	var has []string
	for _, d := range m.Manifests {
		if d.Platform == nil {
			continue
		}
		if want.isSatisfiedBy(*d.Platform) {
			return d, nil
		}
		has = append(has, d.Platform.String())
	}
	if len(m.Manifests) == 1 && len(has) == 0 {
		return m.Manifests[0], nil
	}
	return descriptor{}, fmt.Errorf("it is there for the platforms %q and not for %s; set platform to one of them", has, want)
}
