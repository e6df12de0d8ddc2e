// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

func archive(t *testing.T, dir, architecture string) string {
	t.Helper()
	program := filepath.Join(dir, architecture, "program")
	write(t, program, "for "+architecture, 0o755)
	img, err := FromFiles(Options{
		Files: []File{{program, "/program"}}, Entrypoint: []string{"/program"}, Architecture: architecture,
	})
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, architecture+".tar")
	if err := Write(out, "kuda-io/program:v1", img); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestIndexHasAnImageForEachArchitecture(t *testing.T) {
	dir := t.TempDir()
	archives := []string{archive(t, dir, "amd64"), archive(t, dir, "arm64")}
	out := filepath.Join(dir, "layout")
	if err := WriteIndex(out, "kuda-io/program:v1", archives); err != nil {
		t.Fatal(err)
	}
	root, err := layout.ImageIndexFromPath(out)
	if err != nil {
		t.Fatal(err)
	}
	top, err := root.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(top.Manifests) != 1 || top.Manifests[0].Annotations[nameAnnotation] != "kuda-io/program:v1" {
		t.Fatalf("the layout holds %+v", top.Manifests)
	}
	index, err := root.ImageIndex(top.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range manifest.Manifests {
		got = append(got, m.Platform.OS+"/"+m.Platform.Architecture)
		img, err := index.Image(m.Digest)
		if err != nil {
			t.Fatal(err)
		}
		config, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if config.Architecture != m.Platform.Architecture {
			t.Errorf("the image for %s says that it is for %s", m.Platform.Architecture, config.Architecture)
		}
	}
	if d := cmp.Diff([]string{"linux/amd64", "linux/arm64"}, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestIndexRefusesTwoImagesOfOneArchitecture(t *testing.T) {
	dir := t.TempDir()
	one := archive(t, dir, "amd64")
	if err := WriteIndex(filepath.Join(dir, "layout"), "kuda-io/program:v1", []string{one, one}); err == nil {
		t.Error("no error")
	}
}
