// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// File is one file or directory to pack.
type File struct {
	// Source is a path on this machine; a directory is packed with all in it.
	Source string
	// Dest is the absolute path in the image.
	Dest string
}

// ParseFile reads SRC=DEST.
func ParseFile(s string) (File, error) {
	source, dest, ok := strings.Cut(s, "=")
	if !ok || source == "" || !filepath.IsAbs(dest) {
		return File{}, fmt.Errorf("%q is not SRC=DEST with an absolute DEST", s)
	}
	return File{Source: source, Dest: dest}, nil
}

// Options describe an image.
type Options struct {
	Files      []File
	Entrypoint []string
	Cmd        []string
	Env        []string
	// User is USER[:GROUP], names or numbers. Empty is root.
	User       string
	WorkingDir string
	StopSignal string
	Labels     map[string]string
	// Architecture is that of the programs, as Go names it; empty: amd64.
	Architecture string
}

const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// FromFiles packs files into an image of one layer. A /tmp and an /etc/passwd
// come with it: many programs do not start without.
func FromFiles(o Options) (v1.Image, error) {
	if len(o.Files) == 0 {
		return nil, errors.New("an image needs at least one file")
	}
	layer, err := newLayer(func(w *packer) error {
		if err := w.skeleton(); err != nil {
			return err
		}
		for _, f := range o.Files {
			if err := w.add(f.Source, f.Dest); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return fromLayers(o, layer)
}

func fromLayers(o Options, layers ...v1.Layer) (v1.Image, error) {
	img, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		return nil, fmt.Errorf("making the image: %w", err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("making the image: %w", err)
	}
	config = config.DeepCopy()
	// Without these the container runtime takes the image for another machine's
	// and leaves it out without a word.
	config.OS, config.Architecture = "linux", cmp.Or(o.Architecture, "amd64")
	config.Config = v1.Config{
		Entrypoint: o.Entrypoint,
		Cmd:        o.Cmd,
		Env:        append([]string{path}, o.Env...),
		User:       o.User,
		WorkingDir: o.WorkingDir,
		StopSignal: o.StopSignal,
		Labels:     o.Labels,
	}
	img, err = mutate.ConfigFile(img, config)
	if err != nil {
		return nil, fmt.Errorf("making the image: %w", err)
	}
	return img, nil
}

// Write writes the image under the name ref to the archive at path, whole or
// not at all.
func Write(path, ref string, img v1.Image) error {
	tag, err := name.NewTag(ref)
	if err != nil {
		return fmt.Errorf("%q is not an image name with a tag: %w", ref, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("writing image: %w", err)
	}
	tmp := path + ".tmp"
	f, err := os.Create(tmp)
	if err != nil {
		return fmt.Errorf("writing image: %w", err)
	}
	err = tarball.Write(tag, img, f)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp)
		return fmt.Errorf("writing image %s: %w", path, err)
	}
	return nil
}
