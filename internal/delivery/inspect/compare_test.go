// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
	"github.com/kuda-io/kuda/internal/inspection"
)

func manifestOf(t *testing.T, single bool, entries ...snapshot.Entry) *snapshot.Manifest {
	t.Helper()
	m := &snapshot.Manifest{File: single, Packed: &snapshot.Packed{}}
	for _, e := range entries {
		if err := m.Packed.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func TestFilesAreComparedByTheirPlaceInTheView(t *testing.T) {
	old := manifestOf(t, false, snapshot.Entry{Path: "a", Size: 1, Digest: "d:1"}, snapshot.Entry{Path: "b/c", Size: 2, Digest: "d:2"},
		snapshot.Entry{Path: "bc", Size: 3, Digest: "d:3"})
	one := manifestOf(t, true, snapshot.Entry{Path: snapshot.FileName, Size: 4, Digest: "d:4"})
	files := []transfer.Planned{{Path: "a", Size: 1, Digest: "d:1", Here: true}, {Path: "b/c", Size: 2, Digest: "d:5"}, {Path: "new", Size: 6}}
	changes := func(size int64, names ...string) inspection.Files {
		c := inspection.Files{Count: len(names), Bytes: size}
		for _, name := range names {
			c.Files = append(c.Files, inspection.Name{Path: name})
		}
		return c
	}
	for name, c := range map[string]struct {
		old    *snapshot.Manifest
		at, to string
		files  []transfer.Planned
		want   inspection.PlannedItem
	}{
		"in place": {old, "models", "models", files,
			inspection.PlannedItem{Unchanged: changes(1, "models/a"), Changed: changes(2, "models/b/c"), Added: changes(6, "models/new"),
				Removed: changes(3, "models/bc")}},
		"at the root": {old, "", "", files,
			inspection.PlannedItem{Unchanged: changes(1, "a"), Changed: changes(2, "b/c"), Added: changes(6, "new"), Removed: changes(3, "bc")}},
		"moved": {old, "models", "model", files,
			inspection.PlannedItem{Added: changes(9, "model/a", "model/b/c", "model/new"),
				Removed: changes(6, "models/a", "models/b/c", "models/bc")}},
		"moved to where others are": {old, "", "b", []transfer.Planned{{Path: "c", Size: 2, Digest: "d:2"}},
			inspection.PlannedItem{Unchanged: changes(2, "b/c"), Removed: changes(4, "a", "bc")}},
		"one file": {one, "x/y", "x/y", []transfer.Planned{{Path: snapshot.FileName, Single: true, Size: 4, Digest: "d:4"}},
			inspection.PlannedItem{Unchanged: changes(4, "x/y")}},
		"one file that becomes a tree": {one, "x", "x", files,
			inspection.PlannedItem{Added: changes(9, "x/a", "x/b/c", "x/new"), Removed: changes(4, "x")}},
		"gone": {old, "m", "", nil, inspection.PlannedItem{Removed: changes(6, "m/a", "m/b/c", "m/bc")}},
		"new":  {nil, "", "m", files, inspection.PlannedItem{Added: changes(9, "m/a", "m/b/c", "m/new")}},
	} {
		got := inspection.PlannedItem{Path: c.to}
		comparison := newComparison(&got, 20, c.old, c.at)
		for _, f := range c.files {
			comparison.add(f, "")
		}
		comparison.countRemoved()
		for _, kind := range []*inspection.Files{&got.Added, &got.Changed, &got.Removed, &got.Unchanged} {
			for i := range kind.Files {
				kind.Files[i].Size = 0
			}
		}
		c.want.Path, c.want.TotalBytes, c.want.BytesToMove, c.want.BytesPresent = got.Path, got.TotalBytes, got.BytesToMove, got.BytesPresent
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
