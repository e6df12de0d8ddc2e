// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

func (v *View) loadTrees() error {
	if err := v.dir.root.MkdirAll(treesDir, 0o755); err != nil {
		return err
	}
	control, err := v.dir.readDir(controlDir)
	if err != nil {
		return err
	}
	for _, e := range control {
		if strings.HasPrefix(e.Name(), tempPrefix) {
			if err := v.dir.root.RemoveAll(path.Join(controlDir, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := v.dir.makePark(); err != nil {
		return err
	}
	names, err := v.dir.readDir(treesDir)
	if err != nil {
		return err
	}
	for _, e := range names {
		if err := v.loadSet(e.Name()); err != nil {
			return fmt.Errorf("DataSet %s: %w", e.Name(), err)
		}
	}
	return v.updateLinks(nil)
}

func (v *View) loadSet(name string) error {
	dir := path.Join(treesDir, name)
	entries, err := v.dir.readDir(dir)
	if err != nil {
		return err
	}
	s := &set{trees: map[uint64]*tree{}}
	for _, e := range entries {
		n, err := strconv.ParseUint(strings.TrimSuffix(e.Name(), metaSuffix), 10, 64)
		if err != nil {
			continue
		}
		s.last = max(s.last, n)
		if e.IsDir() {
			if t, err := v.dir.loadTree(name, n); err == nil {
				s.trees[n] = t
			}
		}
	}
	s.current = v.dir.linkedTree(path.Join(controlDir, name), s)
	s.previous = v.dir.linkedTree(path.Join(dir, previousLink), s)
	if s.previous == s.current || s.current == 0 {
		s.previous = 0
	}
	if s.current == 0 {
		if err := removeIfExists(v.dir.root, path.Join(controlDir, name)); err != nil {
			return err
		}
	}
	if err := v.dir.removeIncomplete(dir, entries, s); err != nil {
		return err
	}
	for _, t := range s.trees {
		t.retired = v.dir.now()
	}
	v.sets[name] = s
	return nil
}

// removeIncomplete removes what belongs to no complete tree of a set.
func (d *directory) removeIncomplete(dir string, entries []fs.DirEntry, s *set) error {
	for _, e := range entries {
		n, err := strconv.ParseUint(strings.TrimSuffix(e.Name(), metaSuffix), 10, 64)
		if keep := err == nil && s.trees[n] != nil; keep || e.Name() == previousLink {
			continue
		}
		if err := d.root.RemoveAll(path.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// linkedTree resolves a link of ours to the number of a complete tree, or 0.
func (d *directory) linkedTree(p string, s *set) uint64 {
	target, err := d.root.Readlink(p)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(path.Base(target), 10, 64)
	if err != nil || s.trees[n] == nil {
		return 0
	}
	return n
}

func (d *directory) loadTree(dataset string, n uint64) (*tree, error) {
	b, err := d.root.ReadFile(treePath(dataset, n) + metaSuffix)
	if err != nil {
		return nil, err
	}
	t := &tree{}
	return t, json.Unmarshal(b, t)
}
