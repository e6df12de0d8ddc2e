// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/cache"
)

// smallBytes is the size up to which a file is read into one buffer of a small
// worker and written at once.
const smallBytes = 128 << 10

// errStale: what an earlier writer staged is in the way of the new listing.
var errStale = errors.New("staged files are in the way")

// opened are the large files that bytes go into.
type opened struct {
	mu    sync.Mutex
	files map[*file]struct{}
}

func (o *opened) addFile(f *file) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.files == nil {
		o.files = map[*file]struct{}{}
	}
	o.files[f] = struct{}{}
}

func (o *opened) removeFile(f *file) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.files, f)
}

// close closes what workers left open when they gave up.
func (o *opened) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for f := range o.files {
		f.out.Close()
	}
}

// file is one file on its way. It is made when its turn comes, and not kept
// longer than needed: the roll keeps what it was.
type file struct {
	at    int // in the roll
	entry source.Entry
	path  string // in the snapshot
	mode  fs.FileMode

	// have and sums are of the blocks of a large file; each element of sums is
	// written by the one worker that has its range. have does not change once
	// the file is in the queue.
	have []bool
	sums []digest.Sum
	// begins are of blocks that are on the disk in part; it does not change either.
	begins map[int]*blockBegin
	// begun tells that an earlier writer began it.
	begun bool
	// check is written to under the lock of the span that has the block.
	check check

	// fromCache is nil unless the file may be read from the source's cache; then it says
	// which blocks were. Each element is written by the one worker that has its range.
	fromCache []bool
	// cachedBytes came from the cache.
	cachedBytes atomic.Int64
	// refused is why the cache is not asked for the file any more; nil if it is.
	refused atomic.Pointer[cache.Error]
	// tag is the ETag that proves it, where no other checksum does.
	tag string
	// onlySource is set where the cache had wrong bytes of it.
	onlySource bool

	// writing is held while bytes go into the file; see writeRange.
	writing sync.Mutex

	mu       sync.Mutex
	out      *os.File
	left     int64 // bytes that are not on the disk yet
	follower *follower

	// proof allows it to be shared with what is not the own principal's; see proveShared.
	proof  *proof
	result snapshot.Entry
}

// supportsRanges reports whether the file can be put together of ranges.
func (f *file) supportsRanges() bool { return f.entry.Identity.Strong() && !f.entry.NoRanges }

// staging writes files into the directory of the snapshot that is made, and records
// them there.
type staging struct {
	writer *store.Writer
	dirs   *dirs
	report *reporter
	roll   *roll
	kind   digest.Kind
	opened opened
	// allocated bytes have their place on the disk.
	allocated atomic.Int64
}

// createFile opens a large file for writing in the staging directory. One that was
// not begun before must be new: what has its name could be shared with an older
// snapshot.
func (g *staging) createFile(f *file) (*os.File, error) {
	flags := os.O_RDWR
	if !f.begun {
		flags |= os.O_CREATE | os.O_EXCL
	}
	out, err := g.openFile(f.path, flags)
	if errors.Is(err, fs.ErrNotExist) {
		g.dirs.forgetDir(path.Dir(f.path))
		out, err = g.openFile(f.path, flags)
	}
	if err != nil {
		return nil, g.writeError("creating", err, f)
	}
	g.allocated.Add(f.left)
	return out, nil
}

func (g *staging) openFile(name string, flags int) (*os.File, error) {
	if err := g.dirs.makeDir(path.Dir(name)); err != nil {
		return nil, err
	}
	return g.writer.Root().OpenFile(name, flags, 0o644)
}

// writeError gives an error of the staging directory its type.
func (g *staging) writeError(op string, err error, f *file) error {
	if len(g.writer.StagedPaths()) > 0 &&
		(errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EISDIR) || errors.Is(err, unix.EEXIST)) {
		return errStale
	}
	if errors.Is(err, unix.ENAMETOOLONG) {
		return &source.InvalidPathError{Name: f.path, Reason: "the file system finds it too long"}
	}
	missing := g.report.total.Load() - g.report.done.Load()
	return g.writer.Fail(op+" "+f.path, err, max(missing, f.entry.Size))
}

// beginFile opens and preallocates a large file when its first range comes.
func (d *delivery) beginFile(ctx context.Context, f *file) (*os.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.out != nil {
		return f.out, nil
	}
	if err := d.cached.admitFile(ctx, f, d.kind); err != nil {
		return nil, err
	}
	out, err := d.staging.createFile(f)
	if err != nil {
		return nil, err
	}
	if err := preallocateFile(out, f.entry.Size); err != nil {
		out.Close()
		return nil, d.staging.writeError("allocating", err, f)
	}
	if f.supportsRanges() {
		if err := d.writer.Begin(f.path, f.entry.Size, entryState(f.entry)); err != nil {
			out.Close()
			return nil, err
		}
	}
	f.out = out
	d.staging.opened.addFile(f)
	if f.check.needsReadBack() {
		f.follower = newFollower(f)
		d.startWorker(func() error { return d.hashWhileGrowing(ctx, f) })
	}
	return out, nil
}

// preallocateFile gives a file all its blocks, where the file system can.
func preallocateFile(out *os.File, size int64) error {
	for {
		err := unix.Fallocate(int(out.Fd()), 0, 0, size)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS):
			return out.Truncate(size)
		default:
			return err
		}
	}
}

// writeRange writes p. The kernel lets one writer at a time into a file, and those
// who wait for it there spin: with several connections of one file that takes
// more processor time than all the rest, so they wait here.
func (f *file) writeRange(out *os.File, p []byte, offset int64) error {
	f.writing.Lock()
	defer f.writing.Unlock()
	_, err := out.WriteAt(p, offset)
	return err
}

// startWriteback has the kernel begin to write a range that is complete to the disk, which
// then works while the network does: the commit, which waits for the disk, finds
// little left to do. The bytes stay in the page cache. Where a file system
// cannot, the commit has all to do; it is also what finds the disk's errors. A
// busy disk lets this wait, so it must come after the range was read: a source
// is not slow because the disk is. By then whoever brought the file's last bytes
// may have closed it, and its number may be another file's: only the file itself
// is asked for it, and keeps it for as long as it is in use here.
func startWriteback(out *os.File, offset, length int64) {
	conn, err := out.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Control(func(fd uintptr) {
		_ = unix.SyncFileRange(int(fd), offset, length, unix.SYNC_FILE_RANGE_WRITE)
	})
}

// countWritten counts bytes that are on the disk, and reports whether they were the last.
func (f *file) countWritten(n int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left -= n
	return f.left == 0
}

// completeFile checks a large file, all of which is on the disk, against what the
// source promised, and finishes it. What is wrong of a file that came from the source's
// cache, in whole or in part, is read from the source.
func (d *delivery) completeFile(ctx context.Context, f *file, buffer []byte) error {
	g := d.staging
	if err := f.check.readBack(ctx, f.out, f.entry.Size, buffer); err != nil {
		if context.Cause(ctx) != nil {
			return err
		}
		return g.writeError("reading back", err, f)
	}
	err := f.check.compareDigest(f.entry.Path, f.entry.Size)
	if err == nil {
		matches, readErr := f.matchesTag(ctx, buffer)
		switch {
		case readErr != nil && context.Cause(ctx) != nil:
			return context.Cause(ctx)
		case readErr != nil:
			return g.writeError("reading back", readErr, f)
		case !matches:
			err = &DigestMismatchError{Path: f.entry.Path, Want: string(md5Tag) + ":" + f.tag, Got: "another one"}
		}
	}
	if err != nil {
		g.opened.removeFile(f)
		f.out.Close()
		if err := cmp.Or(g.writer.Drop(f.path), d.cached.rejectFile(f, err)); err != nil {
			return err
		}
		return d.readAgain(ctx, f, buffer)
	}
	d.cached.acceptFile(f)
	return g.finishFile(f, f.out)
}

// finishFile closes a file that is complete and right, and records it.
func (g *staging) finishFile(f *file, out *os.File) error {
	if err := out.Chmod(f.mode); err != nil {
		return g.writeError("setting the mode of", err, f)
	}
	info, err := out.Stat()
	if err != nil {
		return g.writeError("looking at", err, f)
	}
	g.opened.removeFile(f)
	if err := out.Close(); err != nil {
		return g.writeError("closing", err, f)
	}
	return g.recordFile(f, info.ModTime().UnixNano())
}

// recordFile tells the manifest, and the journal where the next writer could use it,
// what a file is.
func (g *staging) recordFile(f *file, modified int64) error {
	f.result = snapshot.Entry{Path: f.path, Size: f.entry.Size, Mode: f.mode, Digest: f.check.sum,
		Identity: entryState(f.entry), Modified: modified}
	if g.kind == digest.XXH3 {
		f.result.Digest = digest.Blocks(f.entry.Size, f.sums)
	}
	g.roll.recordResult(f)
	if f.result.Identity == "" {
		return nil
	}
	return g.writer.Done(f.result)
}
