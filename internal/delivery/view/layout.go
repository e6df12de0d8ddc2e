// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/atomicfile"
)

// directory is the view's own, and makes the names in it. It knows no DataSets.
type directory struct {
	root *os.Root
	now  func() time.Time

	note     func(string)
	noteOnce sync.Once

	temps  int
	parked []parked
}

// node is a place in the wanted layout: a link into a DataSet's current tree,
// or a real directory that items of several DataSets may share.
type node struct {
	target   string
	children map[string]*node
}

// newLayout makes a trie of the links that the DataSets want. Conflicts have been
// refused before.
func newLayout(links map[string][]string) *node {
	root := &node{children: map[string]*node{}}
	for ds, paths := range links {
		for _, p := range paths {
			at := root
			for s := range strings.SplitSeq(path.Dir(p), "/") {
				if s == "." {
					continue
				}
				next := at.children[s]
				if next == nil {
					next = &node{children: map[string]*node{}}
					at.children[s] = next
				}
				at = next
			}
			up := strings.Repeat("../", strings.Count(p, "/"))
			at.children[path.Base(p)] = &node{target: up + controlDir + "/" + ds + "/" + p}
		}
	}
	return root
}

// applyLayout makes the real directory dir look like want. Every path that the old
// and the new layout share resolves at every moment: what changes its kind is
// exchanged with its replacement in one step.
func (d *directory) applyLayout(dir string, want *node) error {
	have, err := d.readDir(dir)
	if err != nil {
		return err
	}
	kinds := make(map[string]fs.FileMode, len(have))
	for _, e := range have {
		kinds[e.Name()] = e.Type()
	}
	names := make([]string, 0, len(want.children))
	for name := range want.children {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		kind, exists := kinds[name]
		if err := d.placeNode(path.Join(dir, name), want.children[name], kind, exists); err != nil {
			return err
		}
	}
	for name := range kinds {
		if want.children[name] == nil && (dir != "." || name != controlDir) {
			if err := d.root.RemoveAll(path.Join(dir, name)); err != nil {
				return fmt.Errorf("taking %s out of the view: %w", path.Join(dir, name), err)
			}
		}
	}
	return nil
}

func (d *directory) placeNode(p string, n *node, kind fs.FileMode, exists bool) error {
	switch {
	case !exists && n.children == nil:
		return d.root.Symlink(n.target, p)
	case !exists:
		if err := d.root.Mkdir(p, 0o755); err != nil {
			return err
		}
		return d.applyLayout(p, n)
	case n.children != nil && kind.IsDir():
		return d.applyLayout(p, n)
	case n.children == nil && kind == fs.ModeSymlink:
		if target, err := d.root.Readlink(p); err == nil && target == n.target {
			return nil
		}
	}
	return d.replacePath(p, n)
}

// replacePath exchanges whatever is at p with what is wanted there. What was there
// is kept for the grace period, because an application may be on its way
// through it.
func (d *directory) replacePath(p string, n *node) error {
	tmp, err := d.newParkPath(strings.Count(p, "/"))
	if err != nil {
		return fmt.Errorf("building %s beside the view: %w", p, err)
	}
	if n.children == nil {
		err = d.root.Symlink(n.target, tmp)
	} else if err = d.root.Mkdir(tmp, 0o755); err == nil {
		err = d.applyLayout(tmp, n)
	}
	if err != nil {
		return fmt.Errorf("building %s beside the view: %w", p, err)
	}
	if err := d.exchangePaths(tmp, p); err != nil {
		return fmt.Errorf("exchanging %s: %w", p, err)
	}
	return nil
}

// parked is what was taken out of the layout.
type parked struct {
	path  string
	since time.Time
}

// newParkPath names a new place for what is exchanged with something depth directories
// below the view. The place is as deep below a link to .kuda, so that the
// relative links in what is parked there still lead to where they led.
func (d *directory) newParkPath(depth int) (string, error) {
	d.temps++
	slot := path.Join(parkDir, strconv.Itoa(d.temps))
	d.parked = append(d.parked, parked{path: slot, since: d.now()})
	p := slot + strings.Repeat("/up", depth)
	if err := d.root.MkdirAll(path.Dir(p), 0o755); err != nil {
		return "", err
	}
	return p, nil
}

// makePark makes an empty directory for newParkPath.
func (d *directory) makePark() error {
	if err := d.root.RemoveAll(parkDir); err != nil {
		return err
	}
	if err := d.root.Mkdir(parkDir, 0o755); err != nil {
		return err
	}
	return d.root.Symlink("..", path.Join(parkDir, controlDir))
}

func (d *directory) exchangePaths(a, b string) error {
	da, err := d.root.Open(path.Dir(a))
	if err != nil {
		return err
	}
	defer da.Close()
	db, err := d.root.Open(path.Dir(b))
	if err != nil {
		return err
	}
	defer db.Close()
	moment, err := atomicfile.Exchange(int(da.Fd()), path.Base(a), int(db.Fd()), path.Base(b))
	if moment {
		d.noteOnce.Do(func() {
			d.note("the file system of the view cannot exchange two names: where items change their kind, a place is missing for a moment")
		})
	}
	return err
}

// setLink points the link at p to target, in one step.
func (d *directory) setLink(p, target string) error {
	tmp := d.newTempPath()
	if err := d.root.Symlink(target, tmp); err != nil {
		return err
	}
	if err := d.root.Rename(tmp, p); err != nil {
		return err
	}
	return atomicfile.SyncDirIn(d.root, path.Dir(p))
}

func (d *directory) readDir(dir string) ([]fs.DirEntry, error) {
	f, err := d.root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.ReadDir(-1)
}

// newTempPath names a new place for what is to be renamed; Open removes leftovers.
func (d *directory) newTempPath() string {
	d.temps++
	return fmt.Sprintf("%s/%s%d", controlDir, tempPrefix, d.temps)
}

func removeIfExists(root *os.Root, p string) error {
	if err := root.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
