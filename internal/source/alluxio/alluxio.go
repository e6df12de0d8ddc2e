// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package alluxio

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/alluxio/client"
	"github.com/kuda-io/kuda/internal/source/alluxio/wire"
	"github.com/kuda-io/kuda/internal/source/local"
)

// attempts is how many workers are asked for a block: each can read it from the storage
// behind Alluxio.
const attempts = 3

// Source is one Alluxio.
type Source struct {
	identity string
	host     string
	user     string
	client   *client.Client
}

// New returns the source that c describes. It checks the settings and does not connect
// yet.
func New(c Config) (*Source, error) {
	// A master that names its workers must not lead to the pod itself or to its node,
	// unless the settings do.
	dial := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Control: local.Control(c.Host)}
	return newSource(c, dial.DialContext)
}

func newSource(c Config, dial func(ctx context.Context, network, address string) (net.Conn, error)) (*Source, error) {
	address, err := c.Address()
	if err != nil {
		return nil, err
	}
	s := &Source{
		identity: "alluxio://" + address, user: c.UserName,
		client: client.New(client.Options{Address: address, User: c.UserName, Timeout: c.Timeout, Dial: dial}),
	}
	if net.ParseIP(c.Host) == nil {
		s.host = c.Host
	}
	return s, nil
}

// Identity is "alluxio://host:port".
func (s *Source) Identity() string { return s.identity }

// Provenance names who asks; servers believe it, so that it is no secret, and nothing but
// the master's name says which server is the right one.
func (s *Source) Provenance(context.Context) (source.Provenance, error) {
	return source.Provenance{Way: "simple", Host: s.host, Principal: source.MakePrincipal("alluxio user", source.Secret(s.user))}, nil
}

// Close ends the connections.
func (s *Source) Close() error {
	s.client.Close()
	return nil
}

// List yields the file at path, or those of the tree below it, in the order of the
// master. A path with a slash at its end is a tree only.
func (s *Source) List(ctx context.Context, path string) iter.Seq2[source.Entry, error] {
	return func(yield func(source.Entry, error) bool) {
		root := "/" + strings.Trim(path, "/")
		op := "listing " + s.identity + root
		status, err := s.client.Status(ctx, root, wire.Now)
		switch {
		case err != nil:
			yield(source.Entry{}, Classify(ctx, op, err))
		case !status.Folder && strings.HasSuffix(path, "/"):
			yield(source.Entry{}, notFound(op))
		case !status.Folder:
			yield(newEntry("", status), nil)
		default:
			s.listTree(ctx, op, root, yield)
		}
	}
}

// listTree yields the files of a directory, and then those of the directories in it: the
// master locks what it lists, so it is not kept waiting for what is below.
func (s *Source) listTree(ctx context.Context, op, root string, yield func(source.Entry, error) bool) {
	prefix := strings.TrimSuffix(root, "/") + "/"
	found := false
	for pending := []string{root}; len(pending) > 0; {
		last := len(pending) - 1
		directory := pending[last]
		pending = pending[:last]
		folders, err := s.listDirectory(ctx, directory, func(f *wire.FileInfo) bool {
			found = true
			return yield(newEntry(f.Path[len(prefix):], f), nil)
		})
		switch {
		case errors.Is(err, errStopped):
			return
		case err != nil:
			yield(source.Entry{}, Classify(ctx, op, err))
			return
		}
		slices.Reverse(folders)
		if pending = append(pending, folders...); len(pending) > maxPending {
			yield(source.Entry{}, &source.Error{Op: op, Class: source.ErrMisconfigured,
				Err: fmt.Errorf("more than %d directories are in it", maxPending)})
			return
		}
	}
	if !found {
		yield(source.Entry{}, notFound(op))
	}
}

// A master may list directories without end, one in the other or beside it.
const (
	maxPath    = 4096
	maxPending = 1 << 18
)

// errStopped: the consumer of a listing wants no more.
var errStopped = errors.New("stopped")

// listDirectory calls take with the files of a directory, and returns the directories in
// it.
func (s *Source) listDirectory(ctx context.Context, path string, take func(*wire.FileInfo) bool) (folders []string, err error) {
	prefix := strings.TrimSuffix(path, "/") + "/"
	var ended error
	err = s.client.List(ctx, path, wire.Now, func(f *wire.FileInfo) bool {
		name, below := strings.CutPrefix(f.Path, prefix)
		switch {
		case !below || name == "" || f.Folder && strings.Contains(name, "/"):
			ended = &source.Error{Op: "listing " + path, Class: source.ErrMisconfigured,
				Err: fmt.Errorf("the master lists %.200q, which is not in it", f.Path)}
		case len(f.Path) > maxPath:
			ended = &source.Error{Op: "listing " + path[:min(len(path), 200)], Class: source.ErrMisconfigured,
				Err: fmt.Errorf("the master lists a path of %d bytes; %d are taken at most", len(f.Path), maxPath)}
		case f.Folder:
			folders = append(folders, f.Path)
		case !take(f):
			ended = errStopped
		}
		return ended == nil
	})
	return folders, cmp.Or(ended, err)
}

func notFound(op string) error {
	return &source.Error{Op: op, Class: source.ErrNotFound, Err: errors.New("no file is there, and none below it; check remotePath")}
}

func newEntry(path string, f *wire.FileInfo) source.Entry {
	e := source.Entry{Path: path, Key: f.Path, Size: f.Length, Identity: entryIdentity(f)}
	if keepsModes(f.UFSPath) {
		e.Mode = fs.FileMode(f.Mode & 0o777)
	}
	if !f.Completed {
		e.Fault = &source.Error{Op: "looking at " + f.Path, Class: source.ErrTemporary,
			Err: errors.New("it is still being written; it can be read once its writer closes it")}
	}
	return e
}

// keepsModes reports whether the storage behind Alluxio has permission bits: for others
// Alluxio makes them up.
func keepsModes(path string) bool {
	return strings.HasPrefix(path, "/") || strings.HasPrefix(path, "hdfs://") || strings.HasPrefix(path, "file://")
}

// entryIdentity is weak, whatever Alluxio knows: it is of the file in the storage behind
// it, and not of the bytes that workers hold.
func entryIdentity(f *wire.FileInfo) source.Identity {
	return source.Identity(fmt.Sprintf("W/%d-%d-%.200s", f.Modified, f.Length, f.ContentHash()))
}

// Open makes sure that the file is still the one that was listed, and waits for the first
// bytes of a worker.
func (s *Source) Open(ctx context.Context, e source.Entry, offset, length int64) (io.ReadCloser, error) {
	op := "reading " + s.identity + e.Key
	if offset < 0 || length < 0 || length > e.Size-offset {
		return nil, &source.Error{Op: op, Class: source.ErrChanged,
			Err: fmt.Errorf("the range %d+%d is beyond its %d bytes", offset, length, e.Size)}
	}
	status, err := s.statListed(ctx, op, e)
	if err != nil {
		return nil, err
	}
	body, err := s.client.OpenRange(ctx, status, offset, length, attempts)
	if err != nil {
		return nil, Classify(ctx, op, err)
	}
	r := &reader{ctx: ctx, op: op, source: s, entry: e, body: body}
	return source.NewReader(ctx, op, r, length), nil
}

// statListed returns the file, as long as it is the one that was listed.
func (s *Source) statListed(ctx context.Context, op string, e source.Entry) (*wire.FileInfo, error) {
	status, err := s.client.Status(ctx, e.Key, wire.Now)
	if err != nil {
		return nil, Classify(ctx, op, err)
	}
	now := entryIdentity(status)
	switch {
	case status.Folder || e.Identity != "" && now != e.Identity:
		return nil, &source.Error{Op: op, Class: source.ErrChanged,
			Err: fmt.Errorf("it is %s now, and was %s when it was listed", now, e.Identity)}
	case !status.Completed:
		return nil, &source.Error{Op: op, Class: source.ErrTemporary, Err: errors.New("it is being written")}
	}
	return status, nil
}

// reader yields the bytes of a file, and io.EOF when it still is the one that was listed.
type reader struct {
	ctx    context.Context
	op     string
	source *Source
	entry  source.Entry
	body   io.ReadCloser
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	if err == nil {
		return n, nil
	}
	_, changed := r.source.statListed(r.ctx, r.op, r.entry)
	switch {
	case !errors.Is(err, io.EOF):
		if errors.Is(changed, source.ErrChanged) || errors.Is(changed, source.ErrNotFound) {
			return n, changed // which is why the worker failed
		}
		return n, Classify(r.ctx, r.op, err)
	case changed != nil:
		return n, changed
	}
	return n, io.EOF
}

func (r *reader) Close() error { return r.body.Close() }
