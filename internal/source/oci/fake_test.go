// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/kuda-io/kuda/internal/source"
)

// fake is a registry in memory that can be made to misbehave.
type fake struct {
	*httptest.Server

	blobs     map[string][]byte
	manifests map[string][]byte
	// hook is asked first; when it returns true it has answered.
	hook func(w http.ResponseWriter, r *http.Request) bool
}

func newFake(t *testing.T) *fake {
	f := &fake{blobs: map[string][]byte{}, manifests: map[string][]byte{}}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.hook != nil && f.hook(w, r) {
		return
	}
	kind, name := filepath.Split(r.URL.Path)
	if strings.HasSuffix(kind, "/manifests/") {
		if text, ok := f.manifests[name]; ok {
			w.Header().Set("Content-Type", typeManifest)
			w.Header().Set("Docker-Content-Digest", digest.FromBytes(text).String())
			_, _ = w.Write(text)
			return
		}
	} else if blob, ok := f.blobs[name]; ok {
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(blob)))
		return
	}
	http.NotFound(w, r)
}

// addBlob stores a blob and returns its descriptor.
func (f *fake) addBlob(mediaType string, content []byte, annotations map[string]string) descriptor {
	d := descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content)), Annotations: annotations}
	f.blobs[d.Digest.String()] = content
	return d
}

// addFile stores a file as a layer.
func (f *fake) addFile(name, text string) descriptor {
	return f.addBlob("application/octet-stream", []byte(text), map[string]string{annotationTitle: name})
}

// putManifest stores a manifest under a tag and its digest.
func (f *fake) putManifest(t *testing.T, tag string, m manifest) descriptor {
	t.Helper()
	if m.MediaType == "" {
		m.MediaType = typeManifest
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	d := descriptor{MediaType: m.MediaType, Digest: digest.FromBytes(text), Size: int64(len(text))}
	f.manifests[tag], f.manifests[d.Digest.String()] = text, text
	return d
}

func openSource(t *testing.T, c Config) *Source {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// collectEntries lists a path.
func collectEntries(t *testing.T, s *Source, path string) (entries []source.Entry, err error) {
	t.Helper()
	for entry, err := range s.List(t.Context(), path) {
		if err != nil {
			return entries, err
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// readContents lists a tree and reads its files; links are "-> target".
func readContents(t *testing.T, s *Source, path string) map[string]string {
	t.Helper()
	entries, err := collectEntries(t, s, path)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, e := range entries {
		if e.Link != "" {
			got[e.Path] = "-> " + e.Link
			continue
		}
		text := ""
		if e.Size > 0 {
			text = readEntry(t, s, e)
		}
		if e.Checksum != "" && e.Checksum != fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))) {
			t.Errorf("%s has another checksum than its bytes", e.Path)
		}
		got[e.Path] = text
	}
	return got
}

func readEntry(t *testing.T, s *Source, e source.Entry) string {
	t.Helper()
	body, err := s.Open(t.Context(), e, 0, e.Size)
	if err != nil {
		t.Fatalf("%s: %v", e.Path, err)
	}
	defer body.Close()
	content := make([]byte, e.Size+1)
	n := 0
	for err == nil && n < len(content) {
		var more int
		more, err = body.Read(content[n:])
		n += more
	}
	return string(content[:n])
}

// newSecret makes a directory with credentials.
func newSecret(t *testing.T, files map[string]string) *source.Mount {
	t.Helper()
	dir := t.TempDir()
	for name, value := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &source.Mount{Dir: dir, Name: `Secret "pull"`}
}
