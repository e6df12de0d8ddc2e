// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package confined

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

const (
	// maxDepth is how deep a tree is gone into. What lies deeper is first moved up.
	maxDepth = 48
	// removedAtOnce is how many names of a directory are removed before it is listed
	// again.
	removedAtOnce = 1024
)

// RemoveTree removes a directory, or whatever has the name, and everything below. It
// goes on until that is done or the context ends, however deep and wide the tree is,
// and opens what its owner has closed to itself. Others may change the tree meanwhile.
func (d *Dir) RemoveTree(ctx context.Context, name string) error {
	r := &remover{ctx: ctx, top: d, name: name, rest: []string{name}}
	for len(r.rest) > 0 {
		next := r.rest[len(r.rest)-1]
		r.rest = r.rest[:len(r.rest)-1]
		if err := r.removeName(d, next, 0); err != nil {
			return err
		}
	}
	return nil
}

type remover struct {
	ctx context.Context
	top *Dir
	// name is that of the tree in top.
	name string
	// rest are names in top that are still to be removed.
	rest  []string
	moved int
}

func (r *remover) removeName(at *Dir, name string, depth int) error {
	if err := context.Cause(r.ctx); err != nil {
		return err
	}
	err := at.Remove(name)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) {
		return err
	}
	if depth >= maxDepth {
		return r.moveUp(at, name)
	}
	sub, err := at.openToEmpty(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = r.empty(sub, depth)
	sub.Close()
	if err != nil {
		return err
	}
	if err := at.RemoveDir(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// moveUp moves a directory that lies too deep to the top, to be removed from there.
func (r *remover) moveUp(at *Dir, name string) error {
	for {
		r.moved++
		// With the name's beginning: who finds the rest of a tree after this process ended
		// knows what it is of.
		as := fmt.Sprintf("%s.deep-%d", r.name[:min(len(r.name), maxName/2)], r.moved)
		err := at.Rename(name, r.top, as)
		switch {
		case err == nil:
			r.rest = append(r.rest, as)
			return nil
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case !errors.Is(err, fs.ErrExist):
			return err
		}
	}
}

// empty removes everything in a directory.
func (r *remover) empty(d *Dir, depth int) error {
	for {
		var names []string
		complete, err := d.List(removedAtOnce, func(e Entry) bool {
			names = append(names, e.Name)
			return true
		})
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := r.removeName(d, name, depth+1); err != nil {
				return err
			}
		}
		if complete {
			return nil
		}
	}
}

// openToEmpty opens a directory, which its owner may have closed to itself.
func (d *Dir) openToEmpty(name string) (*Dir, error) {
	st, err := d.Lstat(name)
	if err != nil {
		return nil, err
	}
	if isClosed(st) {
		if err := openToOwner(d, name); err != nil {
			return nil, err
		}
	}
	return d.Dir(name)
}
