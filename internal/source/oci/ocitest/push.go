// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package ocitest

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// Repository returns a client that pushes to a repository.
func (r *Registry) Repository(t testing.TB, name string) *remote.Repository {
	t.Helper()
	repository, err := remote.NewRepository(r.Addr + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	repository.PlainHTTP = true
	repository.Client = &auth.Client{Credential: auth.StaticCredential(r.Addr, auth.Credential{Username: r.User, Password: r.Password})}
	return repository
}

// PushBlob stores a blob, unless it is there.
func PushBlob(t testing.TB, repository *remote.Repository, mediaType string, blob []byte,
	annotations map[string]string) ocispec.Descriptor {
	t.Helper()
	d := content.NewDescriptorFromBytes(mediaType, blob)
	if err := repository.Push(t.Context(), d, bytes.NewReader(blob)); err != nil && !errors.Is(err, errdef.ErrAlreadyExists) {
		t.Fatalf("pushing a blob: %v", err)
	}
	d.Annotations = annotations
	return d
}

// PushManifest stores a manifest under a tag; "" for none.
func PushManifest(t testing.TB, repository *remote.Repository, tag string, layers ...ocispec.Descriptor) ocispec.Descriptor {
	t.Helper()
	config := PushBlob(t, repository, ocispec.MediaTypeEmptyJSON, ocispec.DescriptorEmptyJSON.Data, nil)
	return pushJSON(t, repository, tag, ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		ArtifactType: "application/vnd.kuda.test", Config: config, Layers: append([]ocispec.Descriptor{}, layers...),
	})
}

// PushIndex stores an index under a tag.
func PushIndex(t testing.TB, repository *remote.Repository, tag string, manifests ...ocispec.Descriptor) ocispec.Descriptor {
	t.Helper()
	return pushJSON(t, repository, tag, ocispec.MediaTypeImageIndex, ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: manifests,
	})
}

func pushJSON(t testing.TB, repository *remote.Repository, tag, mediaType string, what any) ocispec.Descriptor {
	t.Helper()
	text, err := json.Marshal(what)
	if err != nil {
		t.Fatal(err)
	}
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(text), Size: int64(len(text))}
	if tag == "" {
		err = repository.Push(t.Context(), d, bytes.NewReader(text))
	} else {
		err = repository.PushReference(t.Context(), d, bytes.NewReader(text), tag)
	}
	if err != nil && !errors.Is(err, errdef.ErrAlreadyExists) {
		t.Fatalf("pushing a manifest: %v", err)
	}
	return d
}

// File makes the member of an archive.
func File(name, text string) Member {
	return Member{Header: tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o640, Size: int64(len(text))}, Content: []byte(text)}
}

// Dir makes a directory.
func Dir(name string) Member {
	return Member{Header: tar.Header{Name: name + "/", Typeflag: tar.TypeDir, Mode: 0o755}}
}

// Link makes a symbolic link.
func Link(name, target string) Member {
	return Member{Header: tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target}}
}

// Hard makes a hard link.
func Hard(name, target string) Member {
	return Member{Header: tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: target}}
}

// Member is one of an archive.
type Member struct {
	Header  tar.Header
	Content []byte
}

// Tar makes an archive.
func Tar(t testing.TB, members ...Member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		if err := w.WriteHeader(&m.Header); err != nil {
			t.Fatalf("archiving %q: %v", m.Header.Name, err)
		}
		if _, err := w.Write(m.Content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Gzip packs bytes.
func Gzip(t testing.TB, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Zstd packs bytes.
func Zstd(t testing.TB, plain []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	packed := w.EncodeAll(plain, nil)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed
}
