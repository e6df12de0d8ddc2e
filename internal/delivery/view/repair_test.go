// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package view_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/view"
)

// The snapshot was taken away and delivered again: the file that the view links
// has one name then, as a copy has.
func TestFileOfARemovedSnapshotIsNotTakenForACopy(t *testing.T) {
	b := newBench(t)
	old := b.file("a", "wrong bytes")
	b.deliver("ds", "r1", old)
	if err := os.RemoveAll(old.Dir); err != nil {
		t.Fatal(err)
	}
	repaired := b.file("a", "right bytes")
	repaired.Mark = old.Mark
	later(t, repaired)
	if err := b.view.Check("ds", []view.Item{repaired}); err == nil {
		t.Fatal("the view passes for the repaired one")
	}
	b.deliver("ds", "r1", repaired)
	b.wantSeen(map[string]string{"a": "right bytes"})
}

// later gives the files of an item a time of their own, as a delivery would.
func later(t *testing.T, item view.Item) {
	t.Helper()
	at := time.Now().Add(time.Second)
	for _, f := range item.Files {
		if err := os.Chtimes(filepath.Join(item.Dir, f.Path), at, at); err != nil {
			t.Fatal(err)
		}
	}
}
