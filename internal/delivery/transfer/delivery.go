// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/source"
)

// batch is how many files are listed before room is made for them and the first
// byte is asked for. A tree of no more files is known as a whole by then.
const batch = 1000

// delivery is one pass over a source: from the listing to the manifest.
type delivery struct {
	engine  *Engine
	request *Request
	source  source.Source
	pulse   *pulse
	most    [laneClasses]int // requests under way
	listing *listing
	writer  *store.Writer
	report  *reporter
	kind    digest.Kind
	queue   *queue
	group   *errgroup.Group
	staging *staging
	sharing *sharing
	// cached is nil where the source has no cache, or is to be read without it.
	cached *cached
	// alone forbids to share files with older snapshots.
	alone bool
	// proved: what the source calls a file does not count where its SHA-256 is
	// known, because that proves the bytes.
	proved bool
	// single tells that the item is one file.
	single bool
	roll   *roll
	weight int64 // of the files, see crowding

	// planned bytes are to be written.
	planned int64
	// moved is what the connections of a class did: bytes of the wide ones,
	// files of the small ones.
	moved [laneClasses]atomic.Int64
}

func newDelivery(e *Engine, r Request, w *store.Writer, report *reporter) *delivery {
	d := &delivery{
		engine:  e,
		request: &r,
		most:    e.limitRequests(r.Source),
		writer:  w,
		report:  report,
		kind:    digest.KindOf(r.Digest),
		roll:    newRoll(),
	}
	d.source, d.pulse = e.wrapSource(r.Source)
	d.staging = &staging{writer: w, dirs: newDirs(w.Root()), report: report, roll: d.roll, kind: d.kind}
	d.sharing = newSharing(d)
	d.queue = newQueue(e.options.RangeBytes, min(startConnections, d.most[wide]), min(startSmallConnections, d.most[small]))
	d.queue.open = d.prepareFile
	return d
}

// prepareFile makes a file that waited ready for work. It is called after room was made
// for the file: what it takes in memory grows with the size that the source claims.
func (d *delivery) prepareFile(at int) *file {
	f := d.roll.prepareFile(at)
	f.mode, f.left = d.fileMode(f.entry), f.entry.Size
	f.initSums(d.kind, d.engine.options.MD5Bytes)
	return f
}

// runGuarded is run with a panic as an error.
func (d *delivery) runGuarded(ctx context.Context) (m *snapshot.Manifest, err error) {
	err = d.catchPanic(func() (err error) {
		m, err = d.run(ctx)
		return err
	})
	return m, err
}

// run stages every file and returns the manifest.
func (d *delivery) run(ctx context.Context) (*snapshot.Manifest, error) {
	d.report.setState(Listing)
	defer d.staging.dirs.close()
	// What is in older snapshots is read while the source answers.
	d.listing = listAhead(ctx, d.source, d.request.Path)
	defer d.listing.stop()
	var err error
	defer func() { d.sharing.older.close() }()
	if d.sharing.older, err = findOlder(d.engine.options.Store, d.request.Key, d.legacyStore()); err != nil {
		return nil, err
	}
	err = d.transferFiles(ctx)
	if cause := context.Cause(ctx); cause != nil && err != nil {
		err = fmt.Errorf("delivering %s: %w", d.request.Path, cause)
	}
	if err != nil {
		d.staging.opened.close()
		return nil, err
	}
	d.report.setState(Verifying)
	if err := d.staging.dropStale(); err != nil {
		return nil, err
	}
	return d.buildManifest()
}

// legacyStore is the older release's store, if the request may have files of it.
func (d *delivery) legacyStore() *store.Legacy {
	if !d.request.Direct {
		return nil
	}
	return d.engine.options.Legacy
}

// transferFiles lists and downloads at the same time.
func (d *delivery) transferFiles(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	d.group = group
	stop := context.AfterFunc(ctx, func() { d.queue.close(true) })
	defer stop()
	d.startWorker(func() error { return d.listFiles(ctx) })
	d.startWorker(func() error {
		for class, ok := d.queue.awaitWork(); ok; class, ok = d.queue.awaitWork() {
			d.startWorker(func() error { return d.readSpans(ctx, class) })
		}
		return nil
	})
	quit := make(chan struct{})
	paced := make(chan error, 1)
	go func() { paced <- d.catchPanic(func() error { return d.superviseTransfer(quit) }) }()
	err := group.Wait()
	close(quit)
	return cmp.Or(err, <-paced)
}

// startWorker does a part of the work in a goroutine. A panic there ends the delivery
// with an error, and nothing else.
func (d *delivery) startWorker(work func() error) {
	d.group.Go(func() error { return d.catchPanic(work) })
}

func (d *delivery) catchPanic(work func() error) (err error) {
	defer source.Catch("delivering "+d.request.Path, &err)
	return work()
}

// listFiles fills the queue.
func (d *delivery) listFiles(ctx context.Context) error {
	release := func(pending []*file) error { return d.enqueueMissing(ctx, pending) }
	if err := d.scanListing(ctx, release); err != nil {
		return err
	}
	d.queue.close(false)
	return nil
}

// scanListing hands the listed files over in batches.
func (d *delivery) scanListing(ctx context.Context, take func([]*file) error) error {
	var (
		claimed  = newNames()
		pending  []*file
		listed   int
		repeated int
	)
	for entry, err := range d.listing.allEntries(ctx) {
		if err != nil {
			return err
		}
		listed++
		if entry.Path != "" && !d.request.isSelected(entry.Path) {
			continue
		}
		if entry.Fault != nil {
			return entry.Fault
		}
		d.dropProvedIdentity(&entry)
		if at, again := claimed.findPath(entry.Path); again {
			// Pages of a listing may overlap, but not go on for ever.
			if repeated++; d.roll.matchesEntry(at, entry) && repeated <= batch+d.roll.countFiles() {
				continue
			}
			return d.contradictionError(entry)
		}
		if err := d.engine.crowd.countEntry(d, entry); err != nil {
			return err
		}
		// What the driver gave may be a part of a page that it read.
		entry.Path = strings.Clone(entry.Path)
		name, err := claimed.claimName(entry, d.roll.countFiles())
		if err != nil {
			return err
		}
		pending = append(pending, d.addFile(entry, name))
		if len(pending) == batch {
			if err := take(pending); err != nil {
				return err
			}
			pending = pending[:0]
		}
	}
	if err := claimed.checkLinks(); err != nil {
		return err
	}
	if d.roll.countFiles() == 0 {
		return errNothing(d.request, listed)
	}
	return take(pending)
}

// dropProvedIdentity leaves a file whose bytes are proved otherwise without an identity:
// then it is read as a whole, from one node.
func (d *delivery) dropProvedIdentity(e *source.Entry) {
	if d.proved && (d.request.Digest != "" || digest.Algorithm(e.Checksum) == digest.SHA256) {
		e.Identity, e.Modified = "", time.Time{}
	}
}

// addFile makes an entry one of the item's files.
func (d *delivery) addFile(e source.Entry, name string) *file {
	f := &file{entry: e, path: name, mode: d.fileMode(e)}
	d.single = e.Path == ""
	d.roll.addFile(f)
	d.report.total.Add(e.Size)
	d.report.files.Add(1)
	return f
}

// contradictionError is the error of a listing with two files of one name.
func (d *delivery) contradictionError(e source.Entry) error {
	return &source.Error{Op: "listing " + d.request.Path, Class: source.ErrChanged, Err: fmt.Errorf(
		"%s lists %q again and again, or twice as different files; if this goes on, the service is at fault", d.source.Identity(), e.Path)}
}

// fileMode is the permission bits of a file.
func (d *delivery) fileMode(e source.Entry) fs.FileMode {
	switch {
	case d.request.Mode != nil:
		return d.request.Mode.Perm()
	case e.Mode.Perm() != 0:
		return grantReadAccess(e.Mode.Perm())
	}
	return 0o644
}

// grantReadAccess gives all users the right to read, and to execute, that any user has on the
// source. The owner and the group of a file stay there: here it belongs to the runtime, and
// every reader of the view is to have it. A file without any read right keeps none.
func grantReadAccess(mode fs.FileMode) fs.FileMode {
	for _, right := range []fs.FileMode{0o111, 0o444} {
		if mode&right != 0 {
			mode |= right
		}
	}
	return mode
}

// enqueueMissing makes room for listed files and lets the workers have those that are
// not here already.
func (d *delivery) enqueueMissing(ctx context.Context, pending []*file) error {
	if !d.alone {
		d.sharing.loadOlderSnapshots(pending)
		if err := d.sharing.proveShared(ctx, pending, foreign); err != nil {
			return err
		}
	}
	var wanted []*file
	for _, f := range pending {
		here, err := d.placeFile(f)
		if err != nil {
			return err
		}
		if here {
			d.roll.recordResult(f)
			continue
		}
		wanted = append(wanted, f)
		d.planned += f.left
	}
	if err := d.writer.Reserve(d.report.total.Load(), d.planned-d.staging.allocated.Load()); err != nil {
		return err
	}
	if len(wanted) > 0 {
		d.report.setState(Downloading)
		d.queue.addFiles(wanted)
	}
	return nil
}

// placeFile finds out what of a file is here already; true if all of it is.
func (d *delivery) placeFile(f *file) (bool, error) {
	if f.entry.Link != "" {
		return true, d.staging.createSymlink(f)
	}
	f.left = f.entry.Size
	here, err := d.resumeFile(f)
	if err != nil {
		return false, err
	}
	if here || !d.alone && d.sharing.linkOlderFile(f) {
		d.report.reused.Add(f.entry.Size)
		d.report.done.Add(f.entry.Size)
		return true, nil
	}
	return false, nil
}

// initSums makes ready for the bytes of a file.
func (f *file) initSums(kind digest.Kind, md5Bytes int64) {
	f.sums = make([]digest.Sum, digest.BlockCount(f.entry.Size))
	f.check = newCheck(f.entry, kind, !f.supportsRanges(), md5Bytes)
	if f.entry.Size > smallBytes {
		f.have = make([]bool, len(f.sums))
	}
}

// resumeFile takes over what an earlier writer staged of the same state of a file,
// and drops what it staged of another.
func (d *delivery) resumeFile(f *file) (bool, error) {
	staged := d.writer.Staged(f.path)
	if staged == nil {
		return false, nil
	}
	if staged.Identity == "" || staged.Identity != entryState(f.entry) || staged.Size != f.entry.Size {
		return false, d.writer.Drop(f.path)
	}
	if e := staged.Entry; e != nil {
		if e.Mode != f.mode || digest.KindOf(e.Digest) != d.kind {
			return false, d.writer.Drop(f.path)
		}
		f.result = *e
		d.writer.Use(f.path)
		return true, nil
	}
	if f.entry.Size <= smallBytes || !f.supportsRanges() {
		return false, d.writer.Drop(f.path)
	}
	f.begun = true
	d.writer.Use(f.path)
	// The earlier writer gave the file its place on the disk, so that its size is
	// one that can be.
	f.initSums(d.kind, d.engine.options.MD5Bytes)
	for index, sum := range staged.Blocks {
		if index < 0 || index >= len(f.sums) {
			continue
		}
		f.have[index], f.sums[index] = true, sum
		n := min(digest.BlockSize, f.entry.Size-int64(index)*digest.BlockSize)
		f.left -= n
		d.report.done.Add(n)
		d.report.reused.Add(n)
	}
	if f.left > 0 {
		return false, d.staging.resumeBlocks(f, staged.Prefixes)
	}
	// Complete, but for the record of it: ask for the last block again.
	last := len(f.sums) - 1
	f.have[last] = false
	f.left = f.entry.Size - int64(last)*digest.BlockSize
	d.report.done.Add(-f.left)
	d.report.reused.Add(-f.left)
	return false, nil
}

// resumeBlocks takes over what an earlier writer staged of blocks that it did
// not complete, as far as the bytes on the disk are those that it recorded.
func (g *staging) resumeBlocks(f *file, prefixes map[int]store.Prefix) error {
	if len(prefixes) == 0 {
		return nil
	}
	in, err := g.writer.Root().Open(f.path)
	if err != nil {
		return g.writeError("reading back", err, f)
	}
	defer in.Close()
	f.begins = make(map[int]*blockBegin, len(prefixes))
	buffer := make([]byte, recordEvery)
	for index, p := range prefixes {
		begin := &blockBegin{bytes: p.Bytes}
		part := io.NewSectionReader(in, int64(index)*digest.BlockSize, p.Bytes)
		for {
			n, err := part.Read(buffer)
			begin.sums.xxh3.Write(buffer[:n])
			begin.sums.crc = f.check.addBytes(begin.sums.crc, buffer[:n])
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return g.writeError("reading back", err, f)
			}
		}
		if begin.sums.xxh3.Sum() != p.Sum {
			continue
		}
		f.begins[index] = begin
		g.report.done.Add(p.Bytes)
		g.report.reused.Add(p.Bytes)
	}
	return nil
}

func (g *staging) createSymlink(f *file) error {
	if g.writer.Staged(f.path) != nil {
		if err := g.writer.Drop(f.path); err != nil {
			return err
		}
	}
	if err := g.dirs.makeDir(path.Dir(f.path)); err != nil {
		return g.writeError("creating a directory", err, f)
	}
	if err := g.writer.Root().Symlink(f.entry.Link, f.path); err != nil {
		return g.writeError("linking", err, f)
	}
	f.result = snapshot.Entry{Path: f.path, Link: f.entry.Link}
	return nil
}

// dropStale deletes staged files that the source does not have any more.
func (g *staging) dropStale() error {
	for _, name := range g.writer.StagedPaths() {
		if err := g.writer.Drop(name); err != nil {
			return err
		}
	}
	return nil
}

// buildManifest describes the files, and checks the item's digest.
func (d *delivery) buildManifest() (*snapshot.Manifest, error) {
	m := &snapshot.Manifest{Packed: &snapshot.Packed{}}
	listing := digest.NewListing(d.kind)
	err := d.roll.eachEntry(func(e snapshot.Entry) error {
		m.Bytes += e.Size
		if e.Link == "" {
			listing.Add(e.Path, e.Digest)
		}
		return m.Packed.Add(e)
	})
	if err != nil {
		return nil, fmt.Errorf("describing %s: %w", d.request.Path, err)
	}
	m.Digest = listing.Digest()
	if m.File = d.single && m.Packed.Len() == 1; m.File {
		m.Digest = m.Packed.At(0).Digest
	}
	if want := d.request.Digest; want != "" && want != m.Digest {
		return nil, &DigestMismatchError{Want: want, Got: m.Digest}
	}
	return m, nil
}
