// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
)

// A manifest that can be read lists files below the snapshot, once each, and
// says the same when it is written and read again.
func FuzzAWriterGoesOnFromAnyJournal(f *testing.F) {
	sum := digest.Sum{1}.String()
	f.Add([]byte("{\"format\":1,\"boot\":\"" + bootID() +
		"\"}\n{\"n\":1,\"path\":\"large\",\"size\":20971520,\"identity\":\"i\"}\n{\"n\":1,\"block\":1,\"sum\":\"" + sum + "\"}\n"))
	f.Add([]byte("{\"format\":1}\n{\"n\":1,\"path\":\"large\",\"size\":20971520}\n{\"n\":1,\"block\":1,\"bytes\":1048576,\"prefix\":\"" + sum +
		"\"}\n{\"n\":1,\"block\":2,\"bytes\":8388607,\"prefix\":\"" + sum + "\"}\n"))
	f.Add([]byte("{\"format\":1,\"boot\":\"x\"}\n" +
		"{\"done\":{\"path\":\"f\",\"size\":1,\"mode\":420,\"digest\":\"xxh3:00\",\"identity\":\"i\"}}\n{\"drop\":\"f\"}\n"))
	f.Add([]byte("{\"format\":1}\n{\"done\":{\"path\":\"../f\",\"size\":1}}\n"))
	f.Add([]byte("{\"format\":1}\n{\"n\":1,\"path\":\"\",\"size\":-1}\n{\"n\":7,\"block\":-1,\"sum\":\"" + sum + "\"}"))
	f.Add([]byte("{\"format\":1}\n{\"n\":1,\"path\":\"a\",\"size\":9223372036854775807}\n{\"n\":2,\"path\":\"a/b\"}\n{\"drop\":\"..\"}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s := open(t, Options{Root: t.TempDir()})
		dir := s.partialDir(key("1").ID())
		if err := os.MkdirAll(filepath.Join(dir, snapshot.DataDir, "a"), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string]string{"f": "x", "a/b": "y", "large": "z", "../outside": "o"} {
			if err := os.WriteFile(filepath.Join(dir, snapshot.DataDir, name), []byte(content), 0o644); err != nil {
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
