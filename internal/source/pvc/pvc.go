// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package pvc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/source"
)

// Config describes one claim.
type Config struct {
	// Root is the directory where the claim, or a part of it, is mounted.
	Root string
	// Claim is what identities and messages call it: the name of the claim,
	// followed by a slash and the part that is mounted if it is not the whole.
	Claim string
}

// Source is one claim.
type Source struct{ config Config }

// New returns the source that c describes. It looks at nothing yet.
func New(c Config) (*Source, error) {
	if c.Root == "" || c.Claim == "" {
		return nil, &source.Error{Op: "opening a claim", Class: source.ErrMisconfigured, Err: errors.New("claimName is not set")}
	}
	return &Source{config: c}, nil
}

// Identity is "pvc://claim".
func (s *Source) Identity() string { return "pvc://" + s.config.Claim }

// Provenance names the volume behind the claim by its root's number and birth time,
// as far as the file system has them: a claim that was deleted and made again has
// another volume. There is no principal: a pod that has the claim mounted may read it.
func (s *Source) Provenance(context.Context) (source.Provenance, error) {
	var stat unix.Statx_t
	const op = "looking at the claim"
	err := unix.Statx(unix.AT_FDCWD, s.config.Root, unix.AT_STATX_SYNC_AS_STAT, unix.STATX_INO|unix.STATX_BTIME, &stat)
	if err != nil {
		return source.Provenance{}, s.classifyError(op,
			fmt.Errorf("the claim %s is not mounted; a pod that is older than its DataSet's use of the claim is to be created anew: %w",
				s.config.Claim, err))
	}
	way := fmt.Sprintf("volume=%x", stat.Ino)
	if stat.Mask&unix.STATX_BTIME != 0 {
		way += fmt.Sprintf("-%x.%x", stat.Btime.Sec, stat.Btime.Nsec)
	}
	return source.Provenance{Way: way}, nil
}

// Close does nothing: no file stays open.
func (s *Source) Close() error { return nil }

// openPath opens what is at a path below the root, following links that stay there.
func (s *Source) openPath(name string) (*os.File, error) {
	root, err := os.OpenRoot(s.config.Root)
	if err != nil {
		return nil, fmt.Errorf("the claim %s is not mounted; a pod that is older than its DataSet's use of the claim is to be created anew: %w",
			s.config.Claim, err)
	}
	defer root.Close()
	info, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if err := checkKind(name, info.Mode()); err != nil {
		return nil, err
	}
	// Should it have become a pipe since, opening it does not block.
	return root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
}

// errKind is the error of files that have no bytes to deliver.
var errKind = errors.New("it is neither a file nor a directory nor a symbolic link; remove or exclude it")

func checkKind(name string, mode fs.FileMode) error {
	if mode.IsRegular() || mode.IsDir() {
		return nil
	}
	return fmt.Errorf("%q: %w", name, errKind)
}

// List yields the file at path, or the files of the tree below it. It holds the
// names of one directory per level in memory.
func (s *Source) List(ctx context.Context, remote string) iter.Seq2[source.Entry, error] {
	return func(yield func(source.Entry, error) bool) {
		op := "listing " + s.Identity() + "/" + strings.TrimLeft(remote, "/")
		name, mustBeDir, err := parseRemotePath(remote)
		if err != nil {
			yield(source.Entry{}, &source.Error{Op: op, Class: source.ErrMisconfigured, Err: err})
			return
		}
		if err := context.Cause(ctx); err != nil {
			yield(source.Entry{}, source.Wrap(ctx, op, err))
			return
		}
		f, err := s.openPath(name)
		if err != nil {
			yield(source.Entry{}, s.classifyError(op, err))
			return
		}
		defer f.Close()
		var stat unix.Stat_t
		if err := unix.Fstat(int(f.Fd()), &stat); err != nil {
			yield(source.Entry{}, s.classifyError(op, err))
			return
		}
		if stat.Mode&unix.S_IFMT != unix.S_IFDIR {
			if mustBeDir {
				yield(source.Entry{}, s.classifyError(op, unix.ENOTDIR))
				return
			}
			again := func(stat *unix.Stat_t) error { return unix.Fstat(int(f.Fd()), stat) }
			if err := waitSettled(ctx, settleTime(f), &stat, again); err != nil {
				yield(source.Entry{}, s.classifyError(op, err))
				return
			}
			yield(newEntry("", name, &stat), nil)
			return
		}
		w := walk{ctx: ctx, source: s, op: op, base: name, settle: settleTime(f), yield: yield}
		if w.listDirectory(f, "") && w.listed == 0 {
			yield(source.Entry{}, &source.Error{Op: op, Class: source.ErrNotFound, Err: errors.New("there are no files in it")})
		}
	}
}

// parseRemotePath turns a remote path into one for os.Root.
func parseRemotePath(remote string) (name string, mustBeDir bool, err error) {
	if slices.Contains(strings.Split(remote, "/"), "..") {
		return "", false, errors.New(`remotePath has the segment ".."; name the path from the claim's root`)
	}
	name = strings.TrimPrefix(path.Clean("/"+remote), "/")
	if name == "" {
		name = "."
	}
	return name, strings.HasSuffix(remote, "/"), nil
}

// newEntry is what a listing says of a file.
func newEntry(name, key string, stat *unix.Stat_t) source.Entry {
	return source.Entry{Path: name, Key: key, Size: stat.Size, Identity: entryIdentity(stat), Mode: fs.FileMode(stat.Mode).Perm()}
}

func entryIdentity(stat *unix.Stat_t) source.Identity {
	return source.Identity(fmt.Sprintf("%x-%x-%x-%x", stat.Ino, stat.Size, stat.Mtim.Nano(), stat.Ctim.Nano()))
}

// classifyError gives an error of the file system its class.
func (s *Source) classifyError(op string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", op, err)
	}
	e := &source.Error{Op: op, Class: source.ErrTemporary, Err: err}
	switch {
	case errors.Is(err, errRestless):
		e.Class = source.ErrChanged
	case errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR):
		e.Class = source.ErrNotFound
	case errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM):
		e.Class = source.ErrDenied
		e.Err = fmt.Errorf("%w; let the user %d or one of its groups read the claim %s, for example with the pod's fsGroup", err,
			os.Geteuid(), s.config.Claim)
	case errors.Is(err, unix.ESTALE):
		e.Class = source.ErrChanged
	case errors.Is(err, errKind) || errors.Is(err, unix.ELOOP) || isEscape(err):
		e.Class = source.ErrMisconfigured
	}
	return e
}

// isEscape reports whether os.Root refused a link. Its error has no name.
func isEscape(err error) bool {
	e, ok := errors.AsType[*fs.PathError](err)
	_, isErrno := errors.AsType[unix.Errno](err)
	return ok && !isErrno && e.Err != nil
}

// Open opens a range of a file that is still as it was listed.
func (s *Source) Open(ctx context.Context, e source.Entry, offset, length int64) (io.ReadCloser, error) {
	op := "reading " + s.Identity() + "/" + e.Key
	if err := context.Cause(ctx); err != nil {
		return nil, source.Wrap(ctx, op, err)
	}
	if offset < 0 || length < 0 || offset+length > e.Size {
		return nil, &source.Error{Op: op, Class: source.ErrChanged,
			Err: fmt.Errorf("the file has %d bytes, and %d from %d on are wanted", e.Size, length, offset)}
	}
	f, err := s.openPath(e.Key)
	if err != nil {
		return nil, s.classifyError(op, err)
	}
	r := &reader{ctx: ctx, source: s, op: op, file: f, identity: e.Identity, offset: offset, left: length}
	if err := r.checkUnchanged(); err != nil {
		f.Close()
		return nil, err
	}
	return r, nil
}
