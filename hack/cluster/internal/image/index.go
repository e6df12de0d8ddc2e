// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// nameAnnotation says in an OCI layout how what it holds is called.
const nameAnnotation = "org.opencontainers.image.ref.name"

// WriteIndex puts archives of images, one for each architecture, into one image index under
// the name ref, and writes it as an OCI layout into a directory that is not there yet.
func WriteIndex(dir, ref string, archives []string) error {
	if _, err := name.NewTag(ref); err != nil {
		return fmt.Errorf("%q is not an image name with a tag: %w", ref, err)
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	seen := map[string]string{}
	for _, archive := range archives {
		img, err := tarball.ImageFromPath(archive, nil)
		if err != nil {
			return fmt.Errorf("reading %s: %w", archive, err)
		}
		config, err := img.ConfigFile()
		if err != nil {
			return fmt.Errorf("reading %s: %w", archive, err)
		}
		if first, ok := seen[config.Architecture]; ok {
			return fmt.Errorf("reading %s: %s is of %s, too", archive, first, config.Architecture)
		}
		seen[config.Architecture] = archive
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: img,
			Descriptor: v1.Descriptor{
				Platform: &v1.Platform{OS: config.OS, Architecture: config.Architecture},
			},
		})
	}
	out, err := layout.Write(dir, empty.Index)
	if err != nil {
		return fmt.Errorf("writing %s: %w", dir, err)
	}
	if err := out.AppendIndex(index, layout.WithAnnotations(map[string]string{nameAnnotation: ref})); err != nil {
		return fmt.Errorf("writing %s: %w", dir, err)
	}
	return nil
}
