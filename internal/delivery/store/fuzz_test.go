// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/internal/delivery/digest"
)

// A manifest that can be read lists files below the snapshot, once each, and
// says the same when it is written and read again.
func FuzzAManifestIsReadAsItWasWrittenOrNotAtAll(f *testing.F) {
	for _, m := range []Manifest{
		{Format: Format, Key: key("1"), Digest: "xxh3:00", Entries: []Entry{}},
		{Format: Format, Key: key("2"), Digest: "sha256:ab", Bytes: 7, Files: 2, Entries: []Entry{
			{Path: "a/b", Size: 7, Mode: 0o644, Digest: "xxh3:0123456789abcdef", Identity: `"0123abcd"`, Modified: 1},
			{Path: "a/c", Link: "b"}}},
		{Format: Format, Bytes: 3, File: true, Entries: []Entry{{Path: FileName, Size: 3, Identity: "v:1", Modified: -5}}},
	} {
		var text bytes.Buffer
		b := bufio.NewWriter(&text)
		if err := encodeManifest(b, &m); err != nil {
			f.Fatal(err)
		}
		if err := b.Flush(); err != nil {
			f.Fatal(err)
		}
		f.Add(text.Bytes())
		f.Add(text.Bytes()[:text.Len()-3])
	}
	f.Add([]byte(`{"format":1,"entries":[{"path":"../x"}]}`))
	f.Add([]byte(`{"format":1,"later":{"a":[1]},"bytes":9223372036854775807,"entries":[{"path":"a","size":9223372036854775807},{"path":"b","size":1}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, entries := &Manifest{}, &Packed{}
		if decodeManifest(bytes.NewReader(text), m, entries) != nil {
			return
		}
		m.Entries = entries.allEntries()
		var sum int64
		last := ""
		for _, e := range m.Entries {
			if !filepath.IsLocal(e.Path) || e.Path <= last || e.Size < 0 {
				t.Fatalf("accepted %+v behind %q", e, last)
			}
			sum, last = sum+e.Size, e.Path
		}
		if sum != m.Bytes {
			t.Fatalf("%d bytes instead of %d", sum, m.Bytes)
		}
		var again bytes.Buffer
		b := bufio.NewWriter(&again)
		if err := encodeManifest(b, m); err != nil {
			t.Fatal(err)
		}
		if err := b.Flush(); err != nil {
			t.Fatal(err)
		}
		read, packedAgain := &Manifest{}, &Packed{}
		if err := decodeManifest(&again, read, packedAgain); err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		read.Entries = packedAgain.allEntries()
		if diff := cmp.Diff(m, read); diff != "" {
			t.Fatalf("(-first +again):\n%s", diff)
		}
	})
}

// A journal of any content leads to a writer that can go on, that believes in
// nothing outside of its directory, and whose own records are there next time.
func FuzzAWriterGoesOnFromAnyJournal(f *testing.F) {
	sum := digest.Sum{1}.String()
	f.Add([]byte("{\"format\":1,\"boot\":\"" + bootID() + "\"}\n{\"n\":1,\"path\":\"large\",\"size\":20971520,\"identity\":\"i\"}\n{\"n\":1,\"block\":1,\"sum\":\"" + sum + "\"}\n"))
	f.Add([]byte("{\"format\":1}\n{\"n\":1,\"path\":\"large\",\"size\":20971520}\n{\"n\":1,\"block\":1,\"bytes\":1048576,\"prefix\":\"" + sum + "\"}\n{\"n\":1,\"block\":2,\"bytes\":8388607,\"prefix\":\"" + sum + "\"}\n"))
	f.Add([]byte("{\"format\":1,\"boot\":\"x\"}\n{\"done\":{\"path\":\"f\",\"size\":1,\"mode\":420,\"digest\":\"xxh3:00\",\"identity\":\"i\"}}\n{\"drop\":\"f\"}\n"))
	f.Add([]byte("{\"format\":1}\n{\"done\":{\"path\":\"../f\",\"size\":1}}\n"))
	f.Add([]byte("{\"format\":1}\n{\"n\":1,\"path\":\"\",\"size\":-1}\n{\"n\":7,\"block\":-1,\"sum\":\"" + sum + "\"}"))
	f.Add([]byte("{\"format\":1}\n{\"n\":1,\"path\":\"a\",\"size\":9223372036854775807}\n{\"n\":2,\"path\":\"a/b\"}\n{\"drop\":\"..\"}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s := open(t, Options{Root: t.TempDir()})
		dir := s.partialDir(key("1").ID())
		if err := os.MkdirAll(filepath.Join(dir, dataDir, "a"), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string]string{"f": "x", "a/b": "y", "large": "z", "../outside": "o"} {
			if err := os.WriteFile(filepath.Join(dir, dataDir, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, journalName), text, 0o600); err != nil {
			t.Fatal(err)
		}
		w := writer(t, s, key("1"))
		for _, path := range w.StagedPaths() {
			staged := w.Staged(path)
			if !filepath.IsLocal(path) || staged.Size < 0 {
				t.Fatalf("staged %+v", staged)
			}
			for block := range staged.Blocks {
				if block < 0 || block >= digest.BlockCount(staged.Size) {
					t.Fatalf("block %d of %+v", block, staged)
				}
			}
			for block, p := range staged.Prefixes {
				if _, complete := staged.Blocks[block]; complete || p.Bytes <= 0 || p.Bytes >= digest.BlockSize ||
					int64(block)*digest.BlockSize+p.Bytes > staged.Size {
					t.Fatalf("block %d of %+v", block, staged)
				}
			}
		}
		put(t, w, "new", "content")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "outside")); err != nil {
			t.Fatalf("a file outside of the data: %v", err)
		}
		w = writer(t, s, key("1"))
		if staged := w.Staged("new"); staged == nil || staged.Entry == nil {
			t.Fatal("what was recorded behind it is lost")
		}
		if err := w.Discard(); err != nil {
			t.Fatal(err)
		}
	})
}
