// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package examine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/confined"
	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
)

// ErrGone says that the snapshot was taken away while it was read.
var ErrGone = errors.New("the snapshot is no longer there")

// Finding is a snapshot that is not what was delivered.
type Finding struct {
	// File that differs, as the manifest names it; "" where it is the manifest itself.
	File string
	// Message says how.
	Message string
	// Inode and Device of the file, 0 where there is none: other snapshots may have the
	// same file under another name.
	Inode, Device uint64
}

// Pace holds back what is read.
type Pace interface {
	// Wait waits until so many bytes may be read.
	Wait(ctx context.Context, bytes int) error
}

// A file costs as much as this many bytes, however short it is.
const fileCost = 16 << 10

// What else costs as much as reading so many bytes: a snapshot, however little it has, one that is not
// what was delivered, of which much is written and said, and a name that is only looked
// for.
const (
	snapshotCost = 64 << 10
	findingCost  = 1 << 20
	nameCost     = 256
)

// bufferSize divides the blocks of digests.
const bufferSize = 256 << 10

// Examiner compares snapshots. It is for one goroutine.
type Examiner struct {
	pace   Pace
	buffer []byte
}

// New returns an examiner.
func New(p Pace) *Examiner { return &Examiner{pace: p, buffer: make([]byte, bufferSize)} }

// Snapshot compares the snapshot of an ID, in the directory of a store's snapshots. It
// returns nil when it is what was delivered, and ErrGone when it is gone. Other errors say
// that this is not known.
func (x *Examiner) Snapshot(ctx context.Context, snapshots *confined.Dir, id snapshot.ID) (*Finding, error) {
	dir, err := snapshots.Dir(string(id))
	if err != nil {
		return nil, goneOr(err)
	}
	defer dir.Close()
	if err := x.pace.Wait(ctx, snapshotCost); err != nil {
		return nil, err
	}
	f, err := x.compare(ctx, dir)
	if f != nil {
		err = x.pace.Wait(ctx, findingCost)
	}
	if f == nil && err == nil || ctx.Err() != nil {
		return nil, errors.Join(err, context.Cause(ctx))
	}
	// What was read may be the remains of what is being evicted.
	if !sameDirectory(snapshots, dir, id) {
		return nil, ErrGone
	}
	return f, err
}

func goneOr(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return ErrGone
	}
	return fmt.Errorf("opening the snapshot: %w", err)
}

// sameDirectory reports whether a snapshot's directory still has its name.
func sameDirectory(snapshots, dir *confined.Dir, id snapshot.ID) bool {
	opened, err := dir.Stat()
	if err != nil {
		return false
	}
	named, err := snapshots.Lstat(string(id))
	return err == nil && named.Dev == opened.Dev && named.Ino == opened.Ino
}

// compare reads the manifest, and with it all files.
func (x *Examiner) compare(ctx context.Context, dir *confined.Dir) (*Finding, error) {
	data, err := dir.Dir(snapshot.DataDir)
	if err != nil {
		return findingOr("", "the directory with its files cannot be opened", err)
	}
	defer data.Close()
	w := &walk{root: data}
	defer w.close()
	size, _, err := data.FileSystem()
	if err != nil {
		return nil, err
	}
	var (
		bytes int64
		found *Finding
		sum   listingDigest
	)
	m, err := decodeManifest(dir, func(e snapshot.Entry) error {
		if err := x.pace.Wait(ctx, fileCost); err != nil {
			return err
		}
		// Files without blocks can be of any size; reading them would never end.
		if bytes += max(e.Size, 0); bytes > size || e.Size > size {
			return errSize
		}
		sum.add(e)
		var err error
		if found, err = x.compareEntry(ctx, w, e); err == nil && found != nil {
			err = errFound
		}
		return err
	})
	switch {
	case found != nil:
		return found, nil
	case errors.Is(err, snapshot.ErrDamaged):
		return &Finding{Message: "the manifest cannot be read: " + reasonOf(err).Error()}, nil
	case err != nil:
		return findingOr("", "the manifest cannot be read", err)
	}
	return sum.compare(m), nil
}

// listingDigest is the digest of a snapshot as the digests of its files make it.
type listingDigest struct {
	// listing is nil as long as there is no file.
	listing *digest.Listing
	// first is the digest of the first file: that of a snapshot that is one file.
	first string
}

func (l *listingDigest) add(e snapshot.Entry) {
	if e.Link != "" {
		return
	}
	if l.listing == nil {
		l.listing, l.first = digest.NewListing(digest.KindOf(e.Digest)), e.Digest
	}
	l.listing.Add(e.Path, e.Digest)
}

// compare returns what is wrong with the digest that a manifest states, or nil. One of another
// kind than those of the files cannot be compared.
func (l *listingDigest) compare(m *snapshot.Manifest) *Finding {
	if l.listing == nil {
		return nil
	}
	is := l.first
	if !m.File {
		is = l.listing.Digest()
	}
	if digest.KindOf(is) != digest.KindOf(m.Digest) || is == m.Digest {
		return nil
	}
	return &Finding{Message: fmt.Sprintf("the manifest lists files of the digest %s instead of %s", is, m.Digest)}
}

// errSize is of a snapshot that is larger than the disk it is on.
var errSize = errors.New("its files have more bytes than the file system")

// errFound ends reading a manifest.
var errFound = errors.New("found")

func decodeManifest(dir *confined.Dir, each func(snapshot.Entry) error) (*snapshot.Manifest, error) {
	f, err := dir.File(snapshot.ManifestName)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return snapshot.DecodeEntries(bufio.NewReaderSize(f, 32<<10), each)
}

// findingOr tells a difference from an error that says nothing about the file.
func findingOr(file, message string, err error) (*Finding, error) {
	for _, e := range []error{fs.ErrNotExist, fs.ErrPermission, confined.ErrKind, confined.ErrName, unix.EIO} {
		if errors.Is(err, e) {
			return &Finding{File: file, Message: message + ": " + reasonOf(err).Error()}, nil
		}
	}
	return nil, err
}

// reasonOf is an error without the path, which is that of this container.
func reasonOf(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

func (x *Examiner) compareEntry(ctx context.Context, w *walk, e snapshot.Entry) (*Finding, error) {
	dir, name, err := w.open(e.Path)
	if err != nil {
		return findingOr(e.Path, "it cannot be opened", err)
	}
	st, err := dir.Lstat(name)
	if err != nil {
		return findingOr(e.Path, "it cannot be looked at", err)
	}
	f := &Finding{File: e.Path, Inode: st.Ino, Device: st.Dev}
	if e.Link != "" {
		target, err := dir.Readlink(name)
		if err == nil && target == e.Link {
			return nil, nil
		}
		f.Message = "it is no link to where it was delivered to lead"
		return f, nil
	}
	if f.Message = compareFacts(st, e); f.Message != "" {
		return f, nil
	}
	file, err := dir.File(name)
	if errors.Is(err, fs.ErrPermission) && e.Mode&0o400 == 0 {
		return nil, nil // it was delivered like that
	}
	if err != nil {
		return findingOr(e.Path, "it cannot be opened", err)
	}
	defer file.Close()
	got, err := digest.Reader(&pacedReader{ctx: ctx, pace: x.pace, file: file}, digest.KindOf(e.Digest), x.buffer)
	if err != nil {
		return findingOr(e.Path, "it cannot be read", err)
	}
	if got != e.Digest {
		f.Message = fmt.Sprintf("its bytes have the digest %s instead of %s", got, e.Digest)
		return f, nil
	}
	return nil, nil
}

// compareFacts returns how a file differs from what the manifest says, "" for not at all.
func compareFacts(st unix.Stat_t, e snapshot.Entry) string {
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return "it is no regular file"
	case st.Size != e.Size:
		return fmt.Sprintf("it has %d bytes instead of %d", st.Size, e.Size)
	case fs.FileMode(st.Mode&0o777) != e.Mode.Perm():
		return fmt.Sprintf("it has the mode %v instead of %v", fs.FileMode(st.Mode&0o777), e.Mode.Perm())
	case st.Mtim.Nano() != e.Modified:
		return fmt.Sprintf("it was written at %s, after it was delivered", time.Unix(0, st.Mtim.Nano()).UTC().Format(time.RFC3339))
	}
	return ""
}

// pacedReader reads a file at a pace.
type pacedReader struct {
	ctx  context.Context
	pace Pace
	file *os.File
}

func (r *pacedReader) Read(p []byte) (int, error) {
	n, err := r.file.Read(p)
	if n > 0 {
		if err := r.pace.Wait(r.ctx, n); err != nil {
			return 0, err
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return n, err
	}
	return n, err
}

// HasFile reports whether a snapshot has the file of an inode under a name that its
// manifest lists. A snapshot whose manifest cannot be read has none.
func (x *Examiner) HasFile(ctx context.Context, snapshots *confined.Dir, id snapshot.ID, f *Finding) bool {
	dir, err := snapshots.Dir(string(id))
	if err != nil {
		return false
	}
	defer dir.Close()
	data, err := dir.Dir(snapshot.DataDir)
	if err != nil {
		return false
	}
	defer data.Close()
	w := &walk{root: data}
	defer w.close()
	_, err = decodeManifest(dir, func(e snapshot.Entry) error {
		if err := x.pace.Wait(ctx, nameCost); err != nil {
			return err
		}
		at, name, err := w.open(e.Path)
		if err != nil {
			return nil //nolint:nilerr // it is not that file
		}
		if st, err := at.Lstat(name); err == nil && st.Ino == f.Inode && st.Dev == f.Device {
			return errFound
		}
		return nil
	})
	return errors.Is(err, errFound)
}
