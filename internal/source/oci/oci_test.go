// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/oci/ocitest"
)

// The types of layers of images.
const (
	typeLayer       = "application/vnd.oci.image.layer.v1.tar"
	typeDockerLayer = "application/vnd.docker.image.rootfs.diff.tar.gzip"
)

func TestBytesWithAnotherDigestAreNotListed(t *testing.T) {
	plain := ocitest.Tar(t, ocitest.File("a", strings.Repeat("text", 1000)))
	for name, blob := range map[string][]byte{"plain": plain, "gzip": ocitest.Gzip(t, plain), "zstd": ocitest.Zstd(t, plain)} {
		f := newFake(t)
		d := f.addBlob(typeLayer, blob, nil)
		for i := range blob {
			if i%97 != 0 {
				continue
			}
			changed := bytes.Clone(blob)
			changed[i] ^= 1
			f.blobs[d.Digest.String()] = changed
			f.putManifest(t, "v1", manifest{Layers: []descriptor{d}})
			entries, err := collectEntries(t, openSource(t, Config{Registry: f.URL, ScratchDir: t.TempDir()}), "image:v1")
			if len(entries) > 0 || !errors.Is(err, source.ErrTemporary) {
				t.Fatalf("%s, byte %d: got %+v, %v", name, i, entries, err)
			}
		}
	}
}

func TestAManifestWithAnotherDigestIsNotRead(t *testing.T) {
	f := newFake(t)
	d := f.putManifest(t, "v1", manifest{Layers: []descriptor{f.addFile("a", "text")}})
	f.hook = func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Type", typeManifest)
		w.Header().Set("Docker-Content-Digest", d.Digest.String())
		fmt.Fprint(w, `{"mediaType":"`+typeManifest+`","layers":[]}`)
		return true
	}
	for _, path := range []string{"m:v1", "m@" + d.Digest.String()} {
		if _, err := collectEntries(t, openSource(t, Config{Registry: f.URL}), path); !errors.Is(err, source.ErrTemporary) {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

func TestOtherDigestsThanSHA256AreCheckedByReadingTheWhole(t *testing.T) {
	f := newFake(t)
	d := f.addFile("a", "content")
	d.Digest = digest.SHA512.FromString("content")
	f.blobs[d.Digest.String()] = []byte("content")
	f.putManifest(t, "v1", manifest{Layers: []descriptor{d}})
	s := openSource(t, Config{Registry: f.URL})
	entries, err := collectEntries(t, s, "m:v1")
	if err != nil || !entries[0].NoRanges || readEntry(t, s, entries[0]) != "content" {
		t.Fatalf("got %+v, %v", entries, err)
	}
	f.blobs[d.Digest.String()] = []byte("CONTENT")
	body, err := s.Open(t.Context(), entries[0], 0, 7)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if _, err := io.ReadAll(body); !errors.Is(err, source.ErrChanged) {
		t.Errorf("got %v", err)
	}
}

func TestArtifactsOfEveryToolAreRead(t *testing.T) {
	archive := ocitest.Tar(t, ocitest.Dir("dir"), ocitest.File("./dir/a", "A"), ocitest.Link("dir/l", "a"))
	for name, c := range map[string]struct {
		layers func(f *fake) []descriptor
		want   map[string]string
	}{
		"ORAS": {func(f *fake) []descriptor {
			return []descriptor{
				f.addBlob(typeLayer, []byte("B"), map[string]string{annotationTitle: "b.tar"}),
				f.addBlob(typeLayer+"+gzip", ocitest.Gzip(t, archive), map[string]string{annotationTitle: "dir", annotationUnpack: "true"}),
			}
		}, map[string]string{"b.tar": "B", "dir/a": "A", "dir/l": "-> a"}},
		"ModelPack": {func(f *fake) []descriptor {
			return []descriptor{
				f.addBlob("application/vnd.cncf.model.weight.v1.raw", []byte("W"), map[string]string{annotationModelPath: "model-1.safetensors"}),
				f.addBlob("application/vnd.cncf.model.weight.config.v1.tar", archive, map[string]string{annotationModelPath: "dir"}),
			}
		}, map[string]string{"model-1.safetensors": "W", "dir/a": "A", "dir/l": "-> a"}},
		"Docker": {func(f *fake) []descriptor {
			return []descriptor{
				f.addBlob(typeDockerLayer, ocitest.Gzip(t, archive), nil),
				f.addBlob(typeDockerLayer, ocitest.Gzip(t, ocitest.Tar(t, ocitest.File("dir/.wh.a", ""), ocitest.File("c", "C"))), nil),
			}
		}, map[string]string{"c": "C", "dir/l": "-> a"}},
		"zstd": {func(f *fake) []descriptor {
			return []descriptor{f.addBlob(typeLayer+"+zstd", ocitest.Zstd(t, archive), nil)}
		}, map[string]string{"dir/a": "A", "dir/l": "-> a"}},
		"nothing but an empty layer beside a file": {func(f *fake) []descriptor {
			return []descriptor{f.addBlob(typeEmpty, []byte("{}"), nil), f.addFile("a", "A")}
		}, map[string]string{"a": "A"}},
		"a type that says another packing": {func(f *fake) []descriptor {
			return []descriptor{f.addBlob(typeDockerLayer, archive, nil), f.addBlob(typeLayer, ocitest.Zstd(t, archive), nil)}
		}, map[string]string{"dir/a": "A", "dir/l": "-> a"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.putManifest(t, "v1", manifest{Layers: c.layers(f)})
			if diff := cmp.Diff(c.want, readContents(t, openSource(t, Config{Registry: f.URL, ScratchDir: t.TempDir()}), "m:v1")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestModesOfArchivesAreKept(t *testing.T) {
	f := newFake(t)
	script := ocitest.File("run.sh", "#!")
	script.Header.Mode = 0o4755
	f.putManifest(t, "v1", manifest{Layers: []descriptor{f.addBlob(typeLayer, ocitest.Tar(t, script), nil)}})
	entries, err := collectEntries(t, openSource(t, Config{Registry: f.URL}), "m:v1")
	if err != nil || len(entries) != 1 || entries[0].Mode != 0o755 {
		t.Errorf("got %+v, %v", entries, err)
	}
}

// A file of a mebibyte that GNU tar found empty, in its two formats.
const (
	gnuSparse = "H4sIAAAAAAACA+3QMQqAMAyF4cyeokdIaaMH8QRuOglW729xUVR0EAXh/5ZAXiAhSd6nWRnjUrN9zYJ4C+q1NIuVqDdvKq7+4DaZ0tgMzsnQ9+PV3F3+6Dvx5CNrP2z6+mRBOIZtVwgAAAAAAAAAAAAAAAAA4H9mXGtv9AAoAAA="                                                                                                                                                                                             //nolint:lll // an archive in base64
	paxSparse = "H4sIAAAAAAACA+3Uz0rEMBAG8JzzFH2CdCZ/mu2hV92TCOIDBA1Y2W4lqbDs0xsqolZ0L+vCst/vkjKTQsLwRdW3YbeO4TGmXGfxL6horJ3XYrmS9lqwM8TUOGe9KB/Ws6h24gRe8xRSOYq4TFpX1zf3Kr+ElKMawvOYOpaLar8tVZKav1a3YYhdluZbMcWwyf0+dmWEK+dbaagapr7sZN8669g7VittWmLPczf87PrP7sPv/wo4AlWX6d3Nw7vqN1Fpai0f+SE4kH8mMov8W9sYUdEp85/Gcfpr36H+8nLnkn/5ntRGGvmRWUK2LsZTj2EDAAAAAAAAAAAAAAAAAACcuzeHVPTjACgAAA==" //nolint:lll // an archive in base64
)

func unbase64(t *testing.T, text string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLayersThatCannotBeReadAreNamed(t *testing.T) {
	for name, c := range map[string]struct {
		layer func(f *fake) descriptor
		want  string
	}{
		"no name":    {func(f *fake) descriptor { return f.addBlob("application/x", []byte("x"), nil) }, annotationTitle},
		"no archive": {func(f *fake) descriptor { return f.addBlob(typeLayer, bytes.Repeat([]byte("no tar"), 1000), nil) }, "tar archive"},
		"no gzip":    {func(f *fake) descriptor { return f.addBlob(typeLayer, []byte{0x1f, 0x8b, 1, 2, 3}, nil) }, "tar archive"},
		"cut archive": {func(f *fake) descriptor {
			return f.addBlob(typeLayer, ocitest.Tar(t, ocitest.File("a", "text"))[:514], nil)
		}, "tar archive"},
		"cut gzip": {func(f *fake) descriptor {
			return f.addBlob(typeLayer, ocitest.Gzip(t, ocitest.Tar(t, ocitest.File("a", "text")))[:30], nil)
		}, "tar archive"},
		"GNU sparse":   {func(f *fake) descriptor { return f.addBlob(typeLayer, unbase64(t, gnuSparse), nil) }, "sparse"},
		"PAX sparse":   {func(f *fake) descriptor { return f.addBlob(typeLayer, unbase64(t, paxSparse), nil) }, "sparse"},
		"bad digest":   {func(f *fake) descriptor { return descriptor{MediaType: typeLayer, Digest: "sha256:../x"} }, "digest"},
		"a wrong size": {func(f *fake) descriptor { d := f.addFile("a", "text"); d.Size = -1; return d }, "bytes"},
		"a lost hard link": {func(f *fake) descriptor {
			return f.addBlob(typeLayer, ocitest.Tar(t, ocitest.Hard("a", "b")), nil)
		}, "hard link"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.putManifest(t, "v1", manifest{Layers: []descriptor{c.layer(f)}})
			_, err := collectEntries(t, openSource(t, Config{Registry: f.URL, ScratchDir: t.TempDir()}), "m:v1")
			if !errors.Is(err, source.ErrMisconfigured) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAnImageOfAnotherPlatformIsNotTaken(t *testing.T) {
	f := newFake(t)
	var manifests []descriptor
	for _, p := range []platform{{"unknown", "unknown", ""}, {"linux", "arm64", "v8"}, {"linux", "amd64", ""}, {"linux", "arm", "v6"},
		{"linux", "arm", "v7"}} {
		d := f.putManifest(t, "part", manifest{Layers: []descriptor{f.addFile("platform", p.String())}})
		d.Platform = &p
		manifests = append(manifests, d)
	}
	f.hook = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/multi") {
			w.Header().Set("Content-Type", typeIndex)
			_, _ = w.Write(f.manifests["multi"])
			return true
		}
		return false
	}
	f.putManifest(t, "multi", manifest{MediaType: typeIndex, Manifests: manifests})
	for wanted, want := range map[string]string{
		"linux/amd64": "linux/amd64", "linux/arm64": "linux/arm64/v8", "linux/arm/v7": "linux/arm/v7", "linux/s390x": "", "windows/amd64": "",
	} {
		s := openSource(t, Config{Registry: f.URL, Platform: wanted})
		if want == "" {
			if _, err := collectEntries(t, s, "m:multi"); !errors.Is(err, source.ErrMisconfigured) ||
				!strings.Contains(err.Error(), "linux/arm64/v8") {
				t.Errorf("%s: got %v", wanted, err)
			}
		} else if got := readContents(t, s, "m:multi")["platform"]; got != want {
			t.Errorf("%s: got %q", wanted, got)
		}
	}
	for _, bad := range []string{"linux", "linux/", "a/b/c/d"} {
		if _, err := New(Config{Registry: f.URL, Platform: bad}); !errors.Is(err, source.ErrMisconfigured) {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}

func TestRegistriesWithoutRangesAreReadAsAWhole(t *testing.T) {
	f := newFake(t)
	f.hook = func(_ http.ResponseWriter, r *http.Request) bool {
		r.Header.Del("Range")
		return false
	}
	f.putManifest(t, "v1", manifest{Layers: []descriptor{f.addFile("file", "content"),
		f.addBlob(typeLayer, ocitest.Tar(t, ocitest.File("member", "in it")), nil)}})
	s := openSource(t, Config{Registry: f.URL, ScratchDir: t.TempDir()})
	if diff := cmp.Diff(map[string]string{"file": "content", "member": "in it"}, readContents(t, s, "m:v1")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	entries, err := collectEntries(t, s, "m:v1")
	if err != nil || !entries[0].NoRanges || entries[1].NoRanges {
		t.Errorf("got %+v, %v", entries, err)
	}
}

func TestNoRoomForALayerIsNamedAndGivenBack(t *testing.T) {
	f := newFake(t)
	large := ocitest.Gzip(t, ocitest.Tar(t, ocitest.File("large", strings.Repeat("0", 8<<20))))
	f.putManifest(t, "large", manifest{Layers: []descriptor{f.addBlob(typeLayer, large, nil)}})
	f.putManifest(t, "small", manifest{Layers: []descriptor{f.addBlob(typeLayer,
		ocitest.Gzip(t, ocitest.Tar(t, ocitest.File("a", "A"))), nil)}})
	s := openSource(t, Config{Registry: f.URL, ScratchDir: t.TempDir(), ScratchBytes: 4 << 20})
	for range 3 {
		if _, err := collectEntries(t, s, "m:large"); !errors.Is(err, source.ErrMisconfigured) || !errors.Is(err, unix.ENOSPC) ||
			!strings.Contains(err.Error(), "room") {
			t.Errorf("got %v", err)
		}
	}
	if diff := cmp.Diff(map[string]string{"a": "A"}, readContents(t, s, "m:small")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := s.Close(); err != nil || s.scratch.used.Load() != 0 {
		t.Errorf("%d bytes are left: %v", s.scratch.used.Load(), err)
	}
}

func TestAnUnpackedLayerHasNoName(t *testing.T) {
	f := newFake(t)
	f.putManifest(t, "v1", manifest{Layers: []descriptor{f.addBlob(typeLayer, ocitest.Gzip(t, ocitest.Tar(t, ocitest.File("a", "A"))), nil)}})
	dir := t.TempDir()
	s := openSource(t, Config{Registry: f.URL, ScratchDir: dir})
	readContents(t, s, "m:v1")
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("got %v, %v", left, err)
	}
}

// A delivery that goes on in another process lists before it opens, but with
// entries of another source it must not read wrong bytes either.
func TestAnotherSourceUnpacksAgain(t *testing.T) {
	f := newFake(t)
	f.putManifest(t, "v1", manifest{Layers: []descriptor{f.addBlob(typeLayer, ocitest.Gzip(t, ocitest.Tar(t, ocitest.File("a", "A"))), nil)}})
	entries, err := collectEntries(t, openSource(t, Config{Registry: f.URL, ScratchDir: t.TempDir()}), "m:v1")
	if err != nil {
		t.Fatal(err)
	}
	if got := readEntry(t, openSource(t, Config{Registry: f.URL, ScratchDir: t.TempDir()}), entries[0]); got != "A" {
		t.Errorf("got %q", got)
	}
}

// Eight items of one image must not unpack it eight times.
func TestALayerIsUnpackedOnceForAll(t *testing.T) {
	f := newFake(t)
	d := f.addBlob(typeLayer, ocitest.Gzip(t, ocitest.Tar(t, ocitest.File("a", "A"))), nil)
	f.putManifest(t, "v1", manifest{Layers: []descriptor{d}})
	whole := make(chan struct{}, 100)
	f.hook = func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, d.Digest.String()) && r.Header.Get("Range") == "" {
			whole <- struct{}{}
		}
		return false
	}
	s := openSource(t, Config{Registry: f.URL, ScratchDir: t.TempDir()})
	done := make(chan error)
	for range 8 {
		go func() {
			_, err := collectEntries(t, s, "m:v1")
			done <- err
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if len(whole) != 1 {
		t.Errorf("the layer was fetched %d times", len(whole))
	}
}

func TestWaitingForAnotherUnpackingCanBeCancelled(t *testing.T) {
	f := newFake(t)
	d := f.addBlob(typeLayer, ocitest.Gzip(t, ocitest.Tar(t, ocitest.File("a", "A"))), nil)
	f.putManifest(t, "v1", manifest{Layers: []descriptor{d}})
	started, release := make(chan struct{}, 10), make(chan struct{})
	f.hook = func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, d.Digest.String()) {
			started <- struct{}{}
			<-release
		}
		return false
	}
	s := openSource(t, Config{Registry: f.URL, ScratchDir: t.TempDir()})
	first := make(chan error, 1)
	go func() {
		_, err := collectEntries(t, s, "m:v1")
		first <- err
	}()
	<-started
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for _, err := range s.List(ctx, "m:v1") {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	}
	close(release)
	if err := <-first; err != nil {
		t.Error(err)
	}
}
