// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"

	"github.com/kuda-io/kuda/plugin"
)

// List yields the file at p, or the files below it, by name. Links below p are
// listed as links; p itself is what it points to.
func (s *Source) List(ctx context.Context, p string) iter.Seq2[plugin.Entry, error] {
	return func(yield func(plugin.Entry, error) bool) {
		top := s.absolute(p)
		op := "listing " + top
		info, conn, release, err := begin(ctx, s, func(c *connection) (fs.FileInfo, error) { return c.sftp.Stat(top) })
		if err != nil {
			yield(plugin.Entry{}, failed(ctx, op, err))
			return
		}
		defer release()
		if !info.IsDir() {
			yield(s.single(op, p, top, info))
			return
		}
		l := &lister{ctx: ctx, source: s, conn: conn, top: top, yield: yield}
		if l.directory("") && l.count == 0 {
			yield(plugin.Entry{}, &plugin.Error{Op: op, Class: plugin.ErrNotFound, Err: errors.New("the directory has no files")})
		}
	}
}

func (s *Source) single(op, p, key string, info fs.FileInfo) (plugin.Entry, error) {
	if strings.HasSuffix(p, "/") {
		return plugin.Entry{}, &plugin.Error{Op: op, Class: plugin.ErrNotFound,
			Err: errors.New("it is no directory; leave out the / at the end of remotePath")}
	}
	if !info.Mode().IsRegular() {
		return plugin.Entry{}, special(key, info)
	}
	return s.entry("", key, info), nil
}

func (s *Source) entry(p, key string, info fs.FileInfo) plugin.Entry {
	return plugin.Entry{Path: p, Key: key, Size: info.Size(), Identity: s.identity(info), Mode: info.Mode().Perm()}
}

func special(name string, info fs.FileInfo) error {
	return &plugin.Error{Op: "listing " + name, Class: plugin.ErrMisconfigured,
		Err: fmt.Errorf("it is neither a file, a directory nor a symbolic link (%v); move it out of the tree", info.Mode().Type())}
}

// lister walks a tree. It holds the names of the directories above the current
// one.
type lister struct {
	ctx    context.Context
	source *Source
	conn   *connection
	top    string
	yield  func(plugin.Entry, error) bool
	count  int
}

// directory yields what is below a directory, and reports whether to go on.
func (l *lister) directory(dir string) bool {
	key := path.Join(l.top, dir)
	infos, err := await(l.ctx, func() ([]fs.FileInfo, error) { return l.conn.sftp.ReadDirContext(l.ctx, key) })
	if err != nil {
		l.yield(plugin.Entry{}, failed(l.ctx, "listing "+key, err))
		return false
	}
	slices.SortFunc(infos, func(a, b fs.FileInfo) int { return strings.Compare(a.Name(), b.Name()) })
	for _, info := range infos {
		name := info.Name()
		if dir != "" {
			name = dir + "/" + name
		}
		if l.ctx.Err() != nil {
			l.yield(plugin.Entry{}, failed(l.ctx, "listing "+key, l.ctx.Err()))
			return false
		}
		if !l.one(name, l.top+"/"+name, info) {
			return false
		}
	}
	return true
}

func (l *lister) one(name, key string, info fs.FileInfo) bool {
	var entry plugin.Entry
	switch info.Mode().Type() {
	case fs.ModeDir:
		return l.directory(name)
	case 0:
		entry = l.source.entry(name, key, info)
	case fs.ModeSymlink:
		target, err := await(l.ctx, func() (string, error) { return l.conn.sftp.ReadLink(key) })
		if err != nil {
			l.yield(plugin.Entry{}, failed(l.ctx, "reading the link "+key, err))
			return false
		}
		// Its identity is its target; content it has none.
		entry = plugin.Entry{Path: name, Key: key, Link: target, Identity: plugin.Identity("link " + target)}
	default:
		l.yield(plugin.Entry{}, special(key, info))
		return false
	}
	l.count++
	return l.yield(entry, nil)
}
