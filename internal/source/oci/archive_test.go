// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/oci/ocitest"
)

// Names as builders of images write them, and what tar makes of them.
func TestNamesOfArchivesAreCleanedAsTarDoes(t *testing.T) {
	for name, want := range map[string]string{
		"a": "a", "./a": "a", "././a": "a", "/etc/x": "etc/x", "//etc//x": "etc/x", "a/./b": "a/b", "a//b": "a/b", "d/": "d",
		"/": "", ".": "", "./": "", "": "",
		// Where these lead depends on links: they are refused later, by name.
		"../a": "../a", "a/../b": "a/../b", "/..": "/..", "a/..": "a/..",
	} {
		if got := memberName(name); got != want {
			t.Errorf("%q became %q, not %q", name, got, want)
		}
	}
}

func FuzzNamesOfArchivesStayInTheTreeOrAreRefused(f *testing.F) {
	for _, seed := range []string{"a", "./a", "/a", "//", "../a", "a/../../b", "a\x00b", "/../a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		clean := memberName(name)
		if clean == "" || !source.ValidPath(clean) {
			return
		}
		if !filepath.IsLocal(clean) || memberName(clean) != clean {
			t.Fatalf("%q became %q", name, clean)
		}
	})
}

// Whatever an archive says, a file's range must be one of the archive, with the
// bytes of the checksum.
func FuzzArchivesNameOnlyRangesThatTheyHave(f *testing.F) {
	plain := ocitest.Tar(f, ocitest.Dir("d"), ocitest.File("d/a", "text"), ocitest.Link("l", "d/a"), ocitest.Hard("h", "d/a"),
		ocitest.File("./b", ""))
	f.Add(plain)
	f.Add(plain[:700])
	f.Add(ocitest.Gzip(f, plain))
	f.Add(ocitest.Zstd(f, plain))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, blob []byte) {
		content, compressed, err := newDecompressor(bufio.NewReader(bytes.NewReader(blob)))
		if err != nil {
			return
		}
		a := &archive{}
		if err := a.indexMembers(&counter{r: content}); err != nil || compressed {
			return
		}
		for _, m := range a.members {
			if m.kind != tar.TypeReg {
				continue
			}
			if m.offset < 0 || m.size < 0 || m.offset+m.size > int64(len(blob)) {
				t.Fatalf("%q has %d bytes from %d on, in %d", m.name, m.size, m.offset, len(blob))
			}
			if sum := sha256.Sum256(blob[m.offset : m.offset+m.size]); m.checksum != fmt.Sprintf("sha256:%x", sum) {
				t.Errorf("%q has another checksum than its bytes", m.name)
			}
		}
	})
}
