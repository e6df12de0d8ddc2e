// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/source"
)

// putLink stores a symbolic link.
func (m *memory) putLink(key, target string) {
	m.put(key, nil, "")
	o := m.objects[key]
	o.Link = target
	m.objects[key] = o
}

func TestSymbolicLinksWithinATreeArriveAsTheyAre(t *testing.T) {
	b, m := newMemory(t)
	m.put("tree/lib/libx.so.1.2", []byte("code"), "")
	m.put("tree/bin/tool", []byte("tool"), "")
	links := map[string]string{
		"lib/libx.so":   "libx.so.1", // a chain
		"lib/libx.so.1": "libx.so.1.2",
		"bin/lib":       "../lib", // to a directory
		"dangling":      "nowhere",
		"bin/up":        "../bin/../lib/libx.so",
		"self":          "self",
		"here":          ".",
	}
	for name, target := range links {
		m.putLink("tree/"+name, target)
	}
	lease := b.mustDeliver(t, b.key("tree", "1")).Lease
	for name, target := range links {
		if got, err := os.Readlink(filepath.Join(lease.Dir(), name)); err != nil || got != target {
			t.Errorf("%s leads to %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"lib/libx.so", "bin/lib/libx.so", "bin/up"} {
		if got, err := os.ReadFile(filepath.Join(lease.Dir(), name)); err != nil || string(got) != "code" {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	if err := b.store.Verify(t.Context(), lease.ID(), true); err != nil {
		t.Errorf("verifying: %v", err)
	}
	// Links are made anew for the next version too, and stay links.
	again := b.mustDeliver(t, b.key("tree", "2")).Lease
	if got, err := os.Readlink(filepath.Join(again.Dir(), "bin/lib")); err != nil || got != "../lib" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestSymbolicLinksNeverLeaveATree(t *testing.T) {
	for name, target := range map[string]string{
		"absolute": "/etc/passwd", "up": "..", "far/up": "../../etc", "a/b/c": "../../../x",
		"around": "d/../../x", "zero": "a\x00b", "empty/but": "../..",
	} {
		t.Run(name, func(t *testing.T) {
			b, m := newMemory(t)
			m.put("tree/file", []byte("x"), "")
			m.putLink("tree/"+name, target)
			_, err := b.deliver(t.Context(), b.key("tree", "1"))
			if e, ok := errors.AsType[*source.InvalidPathError](err); !ok || e.Name != name {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Each link stays inside by its text, but two of them together could leave: "in"
// leads to a directory from which ".." is another one than the text says.
func TestSymbolicLinksThatLeaveTogetherAreRefused(t *testing.T) {
	b, m := newMemory(t)
	m.put("tree/a/b/c/file", []byte("x"), "")
	m.putLink("tree/a/b/c/in", "../../..") // the tree itself
	m.putLink("tree/out", "a/b/c/in/../../x")
	_, err := b.deliver(t.Context(), b.key("tree", "1"))
	if _, ok := errors.AsType[*source.InvalidPathError](err); !ok {
		t.Errorf("got %v", err)
	}
}

func TestAnItemThatIsALinkIsRefused(t *testing.T) {
	b, m := newMemory(t)
	m.putLink("link", "elsewhere")
	_, err := b.deliver(t.Context(), b.key("link", "1"))
	if _, ok := errors.AsType[*source.InvalidPathError](err); !ok {
		t.Errorf("got %v", err)
	}
}

func TestAFileBelowALinkIsRefused(t *testing.T) {
	for _, links := range [][2]string{{"dir", "dir/file"}, {"a/b", "a/b/c/d"}} {
		b, m := newMemory(t)
		m.put("tree/real/file", []byte("x"), "")
		m.putLink("tree/"+links[0], "real")
		m.put("tree/"+links[1], []byte("y"), "")
		_, err := b.deliver(t.Context(), b.key("tree", "1"))
		if _, ok := errors.AsType[*source.InvalidPathError](err); !ok {
			t.Errorf("%v: got %v", links, err)
		}
	}
}

func TestNamesThatDifferOnlyInCaseAreTwoFiles(t *testing.T) {
	b, m := newMemory(t)
	for _, name := range []string{"Readme", "README", "dir/x", "Dir/x"} {
		m.put("tree/"+name, []byte(name), "")
	}
	got := files(t, b.mustDeliver(t, b.key("tree", "1")).Lease)
	for _, name := range []string{"Readme", "README", "dir/x", "Dir/x"} {
		if got[name] != name {
			t.Errorf("%s has the content of %q", name, got[name])
		}
	}
}

func TestExecutablesStayExecutable(t *testing.T) {
	b, m := newMemory(t)
	for name, mode := range map[string]fs.FileMode{"tool": 0o755, "own": 0o700, "data": 0o640, "key": 0o600, "none": 0} {
		for size, suffix := range map[int]string{100: "", smallBytes + 1: ".large"} {
			m.put("tree/"+name+suffix, noise(1, size), "")
			o := m.objects["tree/"+name+suffix]
			o.Mode = mode
			m.objects["tree/"+name+suffix] = o
		}
	}
	lease := b.mustDeliver(t, b.key("tree", "1")).Lease
	for name, want := range map[string]fs.FileMode{"tool": 0o755, "own": 0o755, "data": 0o644, "key": 0o644, "none": 0o644} {
		for _, suffix := range []string{"", ".large"} {
			info, err := os.Stat(filepath.Join(lease.Dir(), name+suffix))
			if err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: got %v, %v", name+suffix, info.Mode(), err)
			}
		}
	}
}

// FuzzClaimedNamesAreFilesOfOneTree lists names, one a line and "name -> target"
// for a link, and checks that what is claimed can be made below one directory.
func FuzzClaimedNamesAreFilesOfOneTree(f *testing.F) {
	for _, seed := range []string{"a\nb/c", "a\na/b", "a/b\na", "../x", "a\na", "l -> ../x", "d/l -> ../x", "l -> x\nl/y", "", "/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		claimed := newNames()
		taken := map[string]bool{}
		for line := range strings.SplitSeq(text, "\n") {
			var e source.Entry
			e.Path, e.Link, _ = strings.Cut(line, " -> ")
			name, err := claimed.claimName(e, len(taken))
			if err != nil {
				return // the delivery ends here
			}
			if taken[name] {
				t.Fatalf("%q is claimed twice", name)
			}
			taken[name] = true
			if !filepath.IsLocal(name) || path.Clean(name) != name {
				t.Fatalf("%q is claimed", name)
			}
			for other := range taken {
				if strings.HasPrefix(other, name+"/") || strings.HasPrefix(name, other+"/") {
					t.Fatalf("%q and %q are claimed", name, other)
				}
			}
			if e.Link != "" && name != snapshot.FileName && !filepath.IsLocal(path.Join(path.Dir(name), e.Link)) {
				t.Fatalf("%q leads to %q", name, e.Link)
			}
		}
	})
}

func TestAnyReadPermissionIsExtendedToAllClasses(t *testing.T) {
	for mode, want := range map[fs.FileMode]fs.FileMode{
		0o644: 0o644, 0o600: 0o644, 0o640: 0o644, 0o440: 0o444, 0o040: 0o444, 0o750: 0o755, 0o500: 0o555, 0o200: 0o200, 0o111: 0o111,
	} {
		if got := grantReadAccess(mode); got != want {
			t.Errorf("%04o: got %04o, want %04o", mode, got, want)
		}
	}
}
