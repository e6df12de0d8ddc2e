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
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
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
	entry snapshot.Entry
	// inode of the file that was read, 0 where its bytes need no proof.
	inode uint64
}

// proveShared finds out which of the files may be shared that the own snapshots do not
// have, and notes it. The own credentials read a byte of each; what came another
// way is read and compared with what they list, unless only is another's files. A
// failure of the source is the delivery's.
func (h *sharing) proveShared(ctx context.Context, files []*file, only kinship) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(provers)
	buffers := make(chan []byte, readers)
	for range readers {
		buffers <- nil
	}
	for _, f := range files {
		if f.entry.Link != "" || f.entry.Size == 0 || h.isStaged(f) || h.ownHas(f) {
			continue
		}
		if one, ok := h.older.anothersFile(f); ok {
			group.Go(func() error { return h.proveReadable(ctx, f, one) })
			continue
		}
		if one, ok := h.older.foreignFile(f); ok && only != anothers && len(statedSums(f.entry)) > 0 {
			group.Go(func() error { return h.proveEqual(ctx, f, one, buffers) })
		}
	}
	return group.Wait()
}

// proveReadable proves a file of another principal by reading a byte of it with the own
// credentials.
func (h *sharing) proveReadable(ctx context.Context, f *file, one shared) error {
	ok, err := h.canRead(ctx, f)
	if ok {
		e := one.entry
		e.Path, e.Identity = f.path, sharedState(f.entry, one.entry)
		f.proof = &proof{one: one, entry: e}
	}
	return err
}

// proveEqual proves a file that came another way by comparing its bytes with what the
// source lists. What is not proved is downloaded.
func (h *sharing) proveEqual(ctx context.Context, f *file, one shared, buffers chan []byte) error {
	ok, err := h.canRead(ctx, f)
	if !ok || err != nil {
		return err
	}
	buffer := <-buffers
	if buffer == nil {
		buffer = make([]byte, smallBytes)
	}
	defer func() { buffers <- buffer }()
	if p, err := h.compareBytes(ctx, f, one, buffer); err == nil {
		f.proof = p
	}
	return context.Cause(ctx)
}

// isStaged reports whether an earlier try left something of a file.
func (h *sharing) isStaged(f *file) bool { return h.writer != nil && h.writer.Staged(f.path) != nil }

// ownHas reports whether the own snapshots have a file.
func (h *sharing) ownHas(f *file) bool {
	for _, one := range h.older.findSame(f, h.path) {
		if one.entry.Mode == f.mode {
			return true
		}
	}
	return false
}

// canRead reports whether the own credentials read the very file that was listed.
// If the source refuses, the delivery fails: it needs the file.
func (h *sharing) canRead(ctx context.Context, f *file) (bool, error) {
	length := int64(1)
	if !f.supportsRanges() {
		length = f.entry.Size
	}
	body, err := h.source.Open(ctx, f.entry, 0, length)
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
func (h *sharing) compareBytes(ctx context.Context, f *file, one shared, buffer []byte) (*proof, error) {
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
	sum, err := digest.Reader(io.TeeReader(source.WithContext(ctx, in), io.MultiWriter(writers...)), h.kind, buffer)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", one.entry.Path, err)
	}
	for _, s := range sums {
		if s.matchesStated() {
			one.entry.Modified = stat.Mtim.Nano()
			return &proof{one: one, inode: stat.Ino, entry: snapshot.Entry{Path: f.path, Size: stat.Size, Mode: f.mode, Digest: sum,
				Identity: entryState(f.entry), Modified: stat.Mtim.Nano()}}, nil
		}
	}
	return nil, errNotSame
}
