// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func write(t *testing.T, path, body string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(body), mode); err != nil {
		t.Fatal(err)
	}
}

func TestImageReadsBackAsItWasAsked(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "program"), "#!", 0o700)
	write(t, filepath.Join(dir, "tree/a/data"), "content", 0o600)
	if err := os.Symlink("a/data", filepath.Join(dir, "tree/link")); err != nil {
		t.Fatal(err)
	}
	img, err := FromFiles(Options{
		Files:      []File{{filepath.Join(dir, "program"), "/usr/bin/program"}, {filepath.Join(dir, "tree"), "/srv"}},
		Entrypoint: []string{"/usr/bin/program", "serve"},
		User:       "65532:65532",
	})
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out.tar")
	if err := Write(out, "kuda-io/program:v1", img); err != nil {
		t.Fatal(err)
	}

	tag, err := name.NewTag("kuda-io/program:v1")
	if err != nil {
		t.Fatal(err)
	}
	back, err := tarball.ImageFromPath(out, &tag)
	if err != nil {
		t.Fatal(err)
	}
	config, err := back.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.OS != "linux" || config.Architecture != "amd64" {
		t.Errorf("platform is %s/%s", config.OS, config.Architecture)
	}
	if d := cmp.Diff([]string{"/usr/bin/program", "serve"}, config.Config.Entrypoint); d != "" {
		t.Error(d)
	}
	if config.Config.User != "65532:65532" {
		t.Errorf("user is %q", config.Config.User)
	}
	layers, err := back.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	r, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	modes, bodies := read(t, r)
	want := map[string]int64{
		"tmp/": 0o1777, "etc/": 0o755, "etc/passwd": 0o644, "etc/group": 0o644,
		"usr/": 0o755, "usr/bin/": 0o755, "usr/bin/program": 0o755,
		"srv/": 0o755, "srv/a/": 0o755, "srv/a/data": 0o644, "srv/link": 0o777,
	}
	if d := cmp.Diff(want, modes); d != "" {
		t.Errorf("files (-want +got):\n%s", d)
	}
	if bodies["srv/a/data"] != "content" {
		t.Errorf("srv/a/data is %q", bodies["srv/a/data"])
	}
}

func TestSameFilesGiveTheSameImage(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "program")
	write(t, path, "body", 0o755)
	digest := func() string {
		img, err := FromFiles(Options{Files: []File{{path, "/program"}}})
		if err != nil {
			t.Fatal(err)
		}
		h, err := img.Digest()
		if err != nil {
			t.Fatal(err)
		}
		return h.String()
	}
	first := digest()
	if err := os.Chtimes(path, time.Now(), time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if second := digest(); second != first {
		t.Errorf("digests differ: %s, %s", first, second)
	}
}

func TestBadNamesAndFilesAreRefused(t *testing.T) {
	for _, s := range []string{"", "a", "a=b", "=/b"} {
		if _, err := ParseFile(s); err == nil {
			t.Errorf("ParseFile(%q) gave no error", s)
		}
	}
	if _, err := FromFiles(Options{}); err == nil {
		t.Error("an image without files was made")
	}
	if _, err := FromFiles(Options{Files: []File{{"/nowhere", "/x"}}}); err == nil {
		t.Error("an image of a missing file was made")
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "f"), "", 0o644)
	img, err := FromFiles(Options{Files: []File{{filepath.Join(dir, "f"), "/f"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := Write(filepath.Join(dir, "out.tar"), "Not A Name", img); err == nil {
		t.Error("a bad image name was accepted")
	}
	if _, err := os.Stat(filepath.Join(dir, "out.tar")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a refused image left a file: %v", err)
	}
}

func TestRootFilesystemLosesDevicesListsAndTimes(t *testing.T) {
	var in bytes.Buffer
	w := tar.NewWriter(&in)
	now := time.Now()
	for _, h := range []*tar.Header{
		{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "./dev/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "./dev/null", Typeflag: tar.TypeChar, Mode: 0o666, Devmajor: 1, Devminor: 3},
		{Name: "./var/lib/apt/lists/x", Typeflag: tar.TypeReg, Mode: 0o644},
		{Name: "./usr/bin/nginx", Typeflag: tar.TypeReg, Mode: 0o755},
		{Name: "./usr/bin/hard", Typeflag: tar.TypeLink, Linkname: "./usr/bin/nginx"},
	} {
		h.ModTime = now
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := clean(&in, &out); err != nil {
		t.Fatal(err)
	}
	r := tar.NewReader(&out)
	var names []string
	for h, err := r.Next(); err == nil; h, err = r.Next() {
		names = append(names, h.Name+h.Linkname)
		if !h.ModTime.Equal(epoch) {
			t.Errorf("%s has time %v", h.Name, h.ModTime)
		}
	}
	if d := cmp.Diff([]string{"dev/", "usr/bin/nginx", "usr/bin/hardusr/bin/nginx"}, names); d != "" {
		t.Error(d)
	}
}

func read(t *testing.T, r io.Reader) (map[string]int64, map[string]string) {
	t.Helper()
	modes, bodies := map[string]int64{}, map[string]string{}
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return modes, bodies
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		modes[h.Name], bodies[h.Name] = h.Mode, string(body)
	}
}
