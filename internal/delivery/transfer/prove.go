// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/source"
)

const (
	// provers is how many files are proved at the same time at most; how many
	// connections that makes is the limits' matter, too.
	provers = 16
	// readers is how many of them are read from the disk.
	readers = 2
)

// proof is what allows a file to be shared with a snapshot of another principal,
// or one that came by another way.
type proof struct {
	one   shared
	entry store.Entry
	// inode of the file that was read, 0 where its bytes need no proof.
	inode uint64
}

// proveShared finds out which of the files may be shared that the own snapshots do not
// have, and notes it. The own credentials read a byte of each; what came another
// way is read and compared with what they list, unless only is another's files. A
// failure of the source is the delivery's.
func (d *delivery) proveShared(ctx context.Context, files []*file, only kinship) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(provers)
	buffers := make(chan []byte, readers)
	for range readers {
		buffers <- nil
	}
	for _, f := range files {
		if f.entry.Link != "" || f.entry.Size == 0 || d.isStaged(f) || d.ownHas(f) {
			continue
		}
		if one, ok := d.older.anothersFile(f); ok {
			group.Go(func() error { return d.proveStated(ctx, f, one) })
			continue
		}
		if one, ok := d.older.foreignFile(f); ok && only != anothers && len(statedSums(f.entry)) > 0 {
			group.Go(func() error { return d.proveBytes(ctx, f, one, buffers) })
		}
	}
	return group.Wait()
}

// proveStated proves a file by what the source states of it: the tenant can read it, and
// it is the same as one.
func (d *delivery) proveStated(ctx context.Context, f *file, one shared) error {
	ok, err := d.canRead(ctx, f)
	if ok {
		e := one.entry
		e.Path, e.Identity = f.path, sharedState(f.entry, one.entry)
		f.proof = &proof{one: one, entry: e}
	}
	return err
}

// proveBytes proves a file by the bytes of one, with one of the buffers.
func (d *delivery) proveBytes(ctx context.Context, f *file, one shared, buffers chan []byte) error {
	ok, err := d.canRead(ctx, f)
	if !ok || err != nil {
		return err
	}
	buffer := <-buffers
	if buffer == nil {
		buffer = make([]byte, smallBytes)
	}
	defer func() { buffers <- buffer }()
	if p, err := d.compareBytes(ctx, f, one, buffer); err == nil {
		f.proof = p
	}
	return context.Cause(ctx) // what is not proved is downloaded
}

// isStaged reports whether an earlier try left something of a file.
func (d *delivery) isStaged(f *file) bool { return d.writer != nil && d.writer.Staged(f.path) != nil }

// ownHas reports whether the own snapshots have a file.
func (d *delivery) ownHas(f *file) bool {
	for _, one := range d.older.findSame(f, d.request.Path) {
		if one.entry.Mode == f.mode {
			return true
		}
	}
	return false
}

// canRead reports whether the own credentials read the very file that was listed.
// If the source refuses, the delivery fails: it needs the file.
func (d *delivery) canRead(ctx context.Context, f *file) (bool, error) {
	length := int64(1)
	if !f.supportsRanges() {
		length = f.entry.Size
	}
	body, err := d.source.Open(ctx, f.entry, 0, length)
	if err == nil {
		_, err = io.ReadFull(body, make([]byte, 1))
		body.Close()
	}
	switch {
	case err == nil:
		return true, nil
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case errors.Is(err, source.ErrDenied), errors.Is(err, source.ErrNotFound), errors.Is(err, source.ErrCredentials):
		return false, err
	}
	return false, nil // whatever it is, downloading says it
}

// compareBytes reads a file of a snapshot and compares it with what the source
// states of the one that is wanted.
func (d *delivery) compareBytes(ctx context.Context, f *file, one shared, buffer []byte) (*proof, error) {
	root, err := os.OpenRoot(one.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	in, err := root.OpenFile(one.entry.Path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	var stat unix.Stat_t
	if err := unix.Fstat(int(in.Fd()), &stat); err != nil {
		return nil, err
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFREG || stat.Size != f.entry.Size || fs.FileMode(stat.Mode).Perm() != f.mode {
		return nil, errNotSame
	}
	sums := statedSums(f.entry)
	writers := make([]io.Writer, 0, len(sums))
	for _, s := range sums {
		writers = append(writers, s)
	}
	sum, err := digest.Reader(io.TeeReader(&cancellable{ctx, in}, io.MultiWriter(writers...)), d.kind, buffer)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", one.entry.Path, err)
	}
	for _, s := range sums {
		if s.matchesStated() {
			one.entry.Modified = stat.Mtim.Nano()
			return &proof{one: one, inode: stat.Ino, entry: store.Entry{Path: f.path, Size: stat.Size, Mode: f.mode, Digest: sum,
				Identity: entryState(f.entry), Modified: stat.Mtim.Nano()}}, nil
		}
	}
	return nil, errNotSame
}

// cancellable is a reader that ends with its context.
type cancellable struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancellable) Read(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
