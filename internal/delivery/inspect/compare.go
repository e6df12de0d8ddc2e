// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"path"
	"strings"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
	"github.com/kuda-io/kuda/internal/inspection"
)

// comparison counts the files of an item by their place in the view, as they come.
// Of those that the pod has it keeps a bit each beside their manifest.
type comparison struct {
	out   *inspection.PlannedItem
	names int
	// old is nil where the pod has nothing of the item; at is where it has it.
	old  *snapshot.Manifest
	at   string
	seen []bool
}

func newComparison(out *inspection.PlannedItem, names int, old *snapshot.Manifest, at string) *comparison {
	c := &comparison{out: out, names: names, old: old, at: path.Clean(at)}
	if old != nil {
		c.seen = make([]bool, old.Packed.Len())
	}
	return c
}

// add counts a file of the item, which comes from the path remote of its source.
func (c *comparison) add(f transfer.Planned, remote string) {
	out := c.out
	out.TotalBytes += f.Size
	if f.Here {
		out.BytesPresent += f.Size
	} else {
		out.BytesToMove += f.Size
	}
	name := viewPath(f.Single, out.Path, f.Path)
	e, number, ok := c.findBefore(name)
	if ok {
		ok = !c.seen[number]
		c.seen[number] = true
	}
	switch {
	case !ok:
		c.countFile(&out.Added, name, f.Size)
	case f.Same(e, c.old.Key.Path == remote):
		c.countFile(&out.Unchanged, name, f.Size)
	default:
		c.countFile(&out.Changed, name, f.Size)
	}
}

// findBefore returns what the pod has at a place in its view.
func (c *comparison) findBefore(name string) (snapshot.Entry, int, bool) {
	if c.old == nil {
		return snapshot.Entry{}, 0, false
	}
	name = path.Clean(name)
	if c.old.File {
		return c.old.Packed.At(0), 0, name == c.at
	}
	if c.at != "." {
		var below bool
		if name, below = strings.CutPrefix(name, c.at+"/"); !below {
			return snapshot.Entry{}, 0, false
		}
	}
	return c.old.Packed.Find(name)
}

// countRemoved counts what the item does not have any more.
func (c *comparison) countRemoved() {
	if c.old == nil {
		return
	}
	number := 0
	for e := range c.old.Packed.All() {
		if !c.seen[number] {
			c.countFile(&c.out.Removed, viewPath(c.old.File, c.at, e.Path), e.Size)
		}
		number++
	}
}

func (c *comparison) countFile(changes *inspection.Files, name string, size int64) {
	changes.Count++
	changes.Bytes += size
	if len(changes.Files) < c.names {
		changes.Files = append(changes.Files, inspection.Name{Path: path.Clean(name), Size: size})
	}
}
