// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/oci/ocitest"
)

const typeTar = "application/vnd.oci.image.layer.v1.tar"

func TestAbsoluteNamesInLayersAreBelowTheTree(t *testing.T) {
	f := newFake(t)
	layer := f.addBlob(typeTar, ocitest.Tar(t, ocitest.Dir("/"), ocitest.Dir("/etc"), ocitest.File("/etc/x", "1"),
		ocitest.Hard("/etc/y", "/etc/x"), ocitest.Hard("etc/w", "./etc/x"), ocitest.Link("/etc/z", "/etc/x")), nil)
	f.putManifest(t, "v1", manifest{Layers: []descriptor{layer}})
	got := readContents(t, openSource(t, Config{Registry: f.URL}), "team/model:v1")
	want := map[string]string{"etc/x": "1", "etc/y": "1", "etc/w": "1", "etc/z": "-> ../etc/x"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTwoLayersOfOneNameAreRefusedByName(t *testing.T) {
	f := newFake(t)
	one, two := f.addFile("x", "1"), f.addFile("./x", "2")
	f.putManifest(t, "v1", manifest{Layers: []descriptor{one, two}})
	f.putManifest(t, "same", manifest{Layers: []descriptor{one, one}})
	s := openSource(t, Config{Registry: f.URL})
	_, err := collectEntries(t, s, "team/model:v1")
	if !errors.Is(err, source.ErrMisconfigured) || !strings.Contains(err.Error(), one.Digest.String()) ||
		!strings.Contains(err.Error(), two.Digest.String()) {
		t.Errorf("got %v", err)
	}
	if got := readContents(t, s, "team/model:same"); got["x"] != "1" {
		t.Errorf("got %v", got)
	}
}

func TestALayerThatIsThereTwiceWithTwoSizesIsRefused(t *testing.T) {
	f := newFake(t)
	one := f.addFile("x", "1")
	two := one
	two.Size++
	f.putManifest(t, "v1", manifest{Layers: []descriptor{one, two}})
	if _, err := collectEntries(t, openSource(t, Config{Registry: f.URL}), "team/model:v1"); !errors.Is(err, source.ErrMisconfigured) ||
		!strings.Contains(err.Error(), "2 bytes") {
		t.Errorf("got %v", err)
	}
}

func TestALayerWithoutASizeIsNotAnEmptyFile(t *testing.T) {
	f := newFake(t)
	empty, sized := f.addFile("empty", ""), f.addFile("x", "1")
	f.putManifest(t, "v1", manifest{Layers: []descriptor{empty, sized}})
	unsized := sized
	unsized.Size = 0
	f.putManifest(t, "v2", manifest{Layers: []descriptor{empty, unsized}})
	s := openSource(t, Config{Registry: f.URL})
	if diff := cmp.Diff(map[string]string{"empty": "", "x": "1"}, readContents(t, s, "team/model:v1")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := collectEntries(t, s, "team/model:v2"); !errors.Is(err, source.ErrMisconfigured) ||
		!strings.Contains(err.Error(), sized.Digest.String()) {
		t.Errorf("got %v", err)
	}
}

// Behind one name there may be servers of which some understand no ranges.
func TestBlobIsReadAsAWholeOnceAServerIgnoresRanges(t *testing.T) {
	f := newFake(t)
	f.putManifest(t, "v1", manifest{Layers: []descriptor{f.addFile("x", "12345"),
		f.addBlob(typeTar, ocitest.Tar(t, ocitest.File("dir/y", "67890")), nil)}})
	s := openSource(t, Config{Registry: f.URL})
	entries, err := collectEntries(t, s, "team/model:v1")
	if err != nil || len(entries) != 2 {
		t.Fatalf("got %+v, %v", entries, err)
	}
	f.hook = func(_ http.ResponseWriter, r *http.Request) bool {
		r.Header.Del("Range")
		return false
	}
	var files []source.Entry
	for _, e := range entries {
		if e.NoRanges {
			t.Errorf("%s is to be read as a whole before its size is known", e.Path)
		}
		if _, err := s.Open(t.Context(), e, 1, 2); !errors.Is(err, source.ErrChanged) {
			t.Errorf("%s: got %v", e.Path, err)
		}
		files = append(files, e)
	}
	if got := readContents(t, s, "team/model:v1"); got["x"] != "12345" || got["dir/y"] != "67890" {
		t.Errorf("listed again: got %v", got)
	}
	again, err := collectEntries(t, s, "team/model:v1")
	if err != nil || again[1].NoRanges == again[0].NoRanges {
		t.Errorf("listed again: got %+v, %v", again, err) // the layer's file is unpacked here, and has ranges
	}
	for i, e := range again {
		if e.Identity != files[i].Identity {
			t.Errorf("%s is %s now, and was %s", e.Path, e.Identity, files[i].Identity)
		}
	}
}

func TestResponseThatIsNoManifestIsATemporaryError(t *testing.T) {
	for _, answer := range []string{"", "<html>log in</html>", "{}", "[]", "null", `{"errors":[]}`, `{"layers":[{"dig`,
		`{"mediaType":"` + typeManifest + `"}`} {
		f := newFake(t)
		f.hook = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/manifests/") {
				return false
			}
			w.Header().Set("Content-Type", typeManifest)
			_, _ = w.Write([]byte(answer))
			return true
		}
		if _, err := collectEntries(t, openSource(t, Config{Registry: f.URL}), "team/model:v1"); !errors.Is(err, source.ErrTemporary) {
			t.Errorf("%q: got %v", answer, err)
		}
	}
}

// Whatever stands in a manifest that is read, its layers can be asked for and have
// the size of what they name.
func FuzzManifestsAreReadOrRefused(f *testing.F) {
	for _, seed := range []string{
		`{"mediaType":"` + typeManifest + `","layers":[{"mediaType":"application/octet-stream","digest":"sha256:` + strings.Repeat("0", 64) +
			`","size":1,"annotations":{"` + annotationTitle + `":"dir/file"}},{"mediaType":"` + typeTar + `","digest":"sha256:` +
			strings.Repeat("a", 64) + `","size":1}]}`,
		`{"mediaType":"` + typeIndex + `","manifests":[{"digest":"sha256:` + strings.Repeat("0", 64) +
			`","platform":{"os":"linux","architecture":"amd64"}}]}`,
		`{"layers":[]}`, `{"layers":[{"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]}`,
		`{"layers":null}`, "[]", "<html>",
		`{"layers":[{"size":-1,"digest":"x:y"}]}`, `{"layers":[{"size":1e99}]}`,
	} {
		f.Add([]byte(seed), typeManifest)
	}
	f.Fuzz(func(t *testing.T, text []byte, contentType string) {
		m, err := parseManifest("reading", text, contentType)
		if err != nil {
			if !errors.Is(err, source.ErrTemporary) && !errors.Is(err, source.ErrMisconfigured) {
				t.Fatalf("%q: got %v", text, err)
			}
			return
		}
		for _, layer := range m.Layers {
			if layer.Size < 0 || layer.Digest.Validate() != nil || (layer.Size == 0 && layer.Digest.Algorithm().FromBytes(nil) != layer.Digest) {
				t.Fatalf("%q has the layer %+v", text, layer)
			}
			form, name, err := layerForm(layer)
			if err == nil && form == formFile && name == "" {
				t.Fatalf("%q has a file without a name: %+v", text, layer)
			}
			k := key{repository: "a/b", blob: layer.Digest, size: layer.Size}
			if again, err := parseKey(k.String()); err != nil || again != k {
				t.Fatalf("%q has a layer that cannot be asked for: %v, %v", text, k, err)
			}
		}
		if m.isIndex() {
			if d, err := m.choosePlatform(platform{OS: "linux", Architecture: "amd64"}); err == nil && d.Digest.Validate() != nil {
				t.Fatalf("%q leads to %+v", text, d)
			}
		}
	})
}

// Where a registry sends a request for a blob elsewhere, the address is signed;
// neither the message nor the next server is told the signature.
func TestRedirectSignatureStaysOutOfErrorsAndReferers(t *testing.T) {
	var referers atomic.Int32
	last := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Referer") != "" {
			referers.Add(1)
		}
		w.WriteHeader(http.StatusBadGateway)
	}))
	t.Cleanup(last.Close)
	middle := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, last.URL+"/blob?X-Amz-Signature=S3CRET", http.StatusTemporaryRedirect)
	}))
	t.Cleanup(middle.Close)
	for _, to := range []string{middle.URL, "http://127.0.0.1:1"} {
		f := newFake(t)
		f.putManifest(t, "v1", manifest{Layers: []descriptor{f.addFile("x", "1")}})
		f.hook = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/blobs/") {
				return false
			}
			http.Redirect(w, r, to+"/blob?X-Amz-Signature=S3CRET", http.StatusTemporaryRedirect)
			return true
		}
		_, err := collectEntries(t, openSource(t, Config{Registry: f.URL}), "team/model:v1")
		if err == nil || strings.Contains(err.Error(), "S3CRET") {
			t.Errorf("got %v", err)
		}
	}
	if n := referers.Load(); n > 0 {
		t.Errorf("%d requests said where they came from", n)
	}
}
