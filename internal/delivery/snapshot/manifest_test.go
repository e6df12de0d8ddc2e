// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bufio"
	"bytes"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func FuzzAManifestIsReadAsItWasWrittenOrNotAtAll(f *testing.F) {
	for _, m := range []Manifest{
		{Format: Format, Key: Key{Path: "path", Version: "1"}, Digest: "xxh3:00", Entries: []Entry{}},
		{Format: Format, Key: Key{Path: "path", Version: "2"}, Digest: "sha256:ab", Bytes: 7, Files: 2, Entries: []Entry{
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
	f.Add([]byte(`{"format":1,"later":{"a":[1]},"bytes":9223372036854775807,"entries":[{"path":"a","size":9223372036854775807},` +
		`{"path":"b","size":1}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, entries := &Manifest{}, &Packed{}
		if decodeManifest(bytes.NewReader(text), m, entries.Add) != nil {
			return
		}
		m.Entries = entries.Entries()
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
		if err := decodeManifest(&again, read, packedAgain.Add); err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		read.Entries = packedAgain.Entries()
		if diff := cmp.Diff(m, read); diff != "" {
			t.Fatalf("(-first +again):\n%s", diff)
		}
	})
}

// A journal of any content leads to a writer that can go on, that believes in
// nothing outside of its directory, and whose own records are there next time.
