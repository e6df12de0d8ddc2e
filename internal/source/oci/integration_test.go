// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package oci

import (
	"archive/tar"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/oci/ocitest"
	"github.com/kuda-io/kuda/internal/source/sourcetest"
)

// bulk is how many files go into one archive instead of a layer each: a manifest
// has room for some thousand layers.
const bulk = 200

// store keeps the trees of the contract suite as artifacts: the first segment of
// a path is the repository.
type store struct {
	registry *ocitest.Registry
	// pack makes a layer of a whole tree; nil for a layer per file.
	pack  func(t testing.TB, archive []byte) []byte
	files map[string]map[string]ocitest.Member
}

func newStore(registry *ocitest.Registry, pack func(t testing.TB, archive []byte) []byte) *store {
	return &store{registry: registry, pack: pack, files: map[string]map[string]ocitest.Member{}}
}

// setMember changes members of a tree without pushing it.
func (s *store) setMember(path string, m *ocitest.Member) (tree string) {
	tree, name, _ := strings.Cut(path, "/")
	if s.files[tree] == nil {
		s.files[tree] = map[string]ocitest.Member{}
	}
	if m == nil {
		delete(s.files[tree], name)
		return tree
	}
	if m.Header.Name == "" {
		m.Header.Name = name
	}
	s.files[tree][name] = *m
	return tree
}

func (s *store) putFile(t *testing.T, path string, content []byte) {
	s.pushTree(t, s.setMember(path, regularMember(content)))
}

func regularMember(content []byte) *ocitest.Member {
	return &ocitest.Member{Header: tar.Header{Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content))}, Content: content}
}

func (s *store) putAll(t *testing.T, files map[string][]byte) {
	trees := map[string]bool{}
	for path, content := range files {
		trees[s.setMember(path, regularMember(content))] = true
	}
	for tree := range trees {
		s.pushTree(t, tree)
	}
}

func (s *store) pushTree(t *testing.T, tree string) {
	t.Helper()
	repository := s.registry.Repository(t, "contract/"+tree)
	var layers []ocispec.Descriptor
	if pack := s.pack; pack != nil || len(s.files[tree]) > bulk {
		var members []ocitest.Member
		for _, name := range slices.Sorted(maps.Keys(s.files[tree])) {
			members = append(members, s.files[tree][name])
		}
		archive := ocitest.Tar(t, members...)
		if pack != nil {
			archive = pack(t, archive)
		}
		layers = append(layers, ocitest.PushBlob(t, repository, ocispec.MediaTypeImageLayer, archive,
			map[string]string{annotationTitle: tree, annotationUnpack: "true"}))
	} else {
		for _, name := range slices.Sorted(maps.Keys(s.files[tree])) {
			layers = append(layers, ocitest.PushBlob(t, repository, ocispec.MediaTypeImageLayer, s.files[tree][name].Content,
				map[string]string{annotationTitle: name}))
		}
	}
	ocitest.PushManifest(t, repository, "v1", layers...)
}

// treePath is where the suite's paths are.
func (s *store) treePath(path string) string {
	slash := ""
	if rest, ok := strings.CutPrefix(path, "/"); ok {
		slash, path = "/", rest
	}
	tree, inside, _ := strings.Cut(path, "/")
	return slash + "contract/" + tree + ":v1//" + inside
}

func (s *store) newHarness(c Config) sourcetest.Harness {
	return sourcetest.Harness{
		Addr: s.registry.Addr,
		HTTP: true,
		Path: s.treePath,
		Open: func(t *testing.T, addr string) source.Source {
			c.Registry = "http://" + addr
			return openSource(t, c)
		},
		Put:    s.putFile,
		PutAll: s.putAll,
		Delete: func(t *testing.T, path string) { s.pushTree(t, s.setMember(path, nil)) },
		PutHostile: func(t *testing.T, path string, content []byte) bool {
			s.putFile(t, path, content)
			return utf8.ValidString(path) // JSON has no other names
		},
		Clean: cleanName,
	}
}

// cleanName is the name as tar takes it; one that leads out of the tree stays as it is.
func cleanName(name string) string {
	if slices.Contains(strings.Split(name, "/"), "..") {
		return name
	}
	return strings.TrimPrefix(path.Clean("/"+name), "/")
}

// archiveHarness adds what archives can hold besides files.
func (s *store) archiveHarness(h sourcetest.Harness) sourcetest.Harness {
	h.PutLink = func(t *testing.T, path, target string) {
		s.pushTree(t, s.setMember(path, &ocitest.Member{Header: tar.Header{Typeflag: tar.TypeSymlink, Linkname: target}}))
	}
	h.Mkdir = func(t *testing.T, path string) {
		tree, name, _ := strings.Cut(path, "/")
		s.pushTree(t, s.setMember(tree+"/"+name+"/", &ocitest.Member{Header: tar.Header{Typeflag: tar.TypeDir, Mode: 0o755}}))
	}
	h.PutHostile = func(t *testing.T, path string, content []byte) bool {
		s.putFile(t, path, content)
		return true
	}
	return h
}

func TestContractOnFilesAsLayers(t *testing.T) {
	r := ocitest.Start(t, "auth=true")
	s := newStore(r, nil)
	h := s.newHarness(Config{Credentials: newSecret(t, map[string]string{fileUsername: r.User, filePassword: r.Password})})
	h.OpenDenied = func(t *testing.T) source.Source {
		return openSource(t, Config{Registry: "http://" + r.Addr,
			Credentials: newSecret(t, map[string]string{fileUsername: r.User, filePassword: "wrong"})})
	}
	sourcetest.Run(t, h)
}

func TestContractOnArchives(t *testing.T) {
	s := newStore(ocitest.Start(t), func(_ testing.TB, archive []byte) []byte { return archive })
	sourcetest.Run(t, s.archiveHarness(s.newHarness(Config{})))
}

func TestContractOnPackedArchives(t *testing.T) {
	for name, pack := range map[string]func(testing.TB, []byte) []byte{"gzip": ocitest.Gzip, "zstd": ocitest.Zstd} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := newStore(ocitest.Start(t), pack)
			h := s.archiveHarness(s.newHarness(Config{ScratchDir: dir}))
			// Once it is unpacked no network is left to disturb.
			addr, opens := h.Addr, h.Open
			h.Addr, h.HTTP = "", false
			h.Open = func(t *testing.T, _ string) source.Source { return opens(t, addr) }
			sourcetest.Run(t, h)
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left in the scratch directory: %v, %v", left, err)
			}
		})
	}
}
