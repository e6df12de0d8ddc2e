// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hdfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/hdfs/rpc"
	"github.com/kuda-io/kuda/internal/source/hdfs/wire"
	"github.com/kuda-io/kuda/internal/source/local"
)

// Source is one HDFS.
type Source struct {
	identity  string
	host      string
	user      string
	kerberos  *Kerberos
	namenodes *namenodes
	datanodes *datanodes
	files     *files
}

// New returns the source that c describes. It checks the settings and does not
// connect yet.
func New(c Config) (*Source, error) {
	addresses, protection, err := c.checkSettings()
	if err != nil {
		return nil, err
	}
	// A name, or a namenode that names its datanodes, must not lead to the pod itself or
	// to its node, unless the settings do.
	dial := (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Control: local.Control(addresses...)}).DialContext
	ctx, cancel := context.WithCancelCause(context.Background())
	n := &namenodes{addresses: addresses, user: c.UserName, kerberos: c.Kerberos, dial: dial, ctx: ctx, cancel: cancel}
	return &Source{
		identity:  "hdfs://" + strings.Join(slices.Sorted(slices.Values(addresses)), ","),
		host:      hostNames(addresses),
		user:      c.UserName,
		kerberos:  c.Kerberos,
		namenodes: n,
		datanodes: newDatanodes(dial, newProtector(n, c, protection)),
		files:     newFiles(n),
	}, nil
}

// Identity is "hdfs://host:port", with all namenodes of one HDFS.
func (s *Source) Identity() string { return s.identity }

// mostRequests of one client are enough to fill its network; each takes a thread of a
// datanode, which has some thousand for all its clients.
const mostRequests = 128

// MostRequests returns how many requests a client should have under way.
func (s *Source) MostRequests() int { return mostRequests }

// Provenance names who asks, and with Kerberos what says which servers are the
// right ones. Without Kerberos nothing but a namenode's name says that.
func (s *Source) Provenance(context.Context) (source.Provenance, error) {
	if s.kerberos != nil {
		return s.kerberos.readProvenance()
	}
	return source.Provenance{Way: "simple", Host: s.host, Principal: source.MakePrincipal("hdfs user", source.Secret(s.user))}, nil
}

// Close ends the connections.
func (s *Source) Close() error {
	s.namenodes.close()
	s.datanodes.close()
	return nil
}

// hostNames are the names of the namenodes, "" if all of them are addresses.
func hostNames(addresses []string) string {
	var names []string
	for _, address := range addresses {
		if host, _, err := net.SplitHostPort(address); err == nil && net.ParseIP(host) == nil {
			names = append(names, host)
		}
	}
	return strings.Join(names, ",")
}

func (s *Source) statFile(ctx context.Context, path string) (*wire.FileStatus, error) {
	answer, err := s.namenodes.callActive(ctx, "getFileInfo", wire.PathRequest(path))
	if err != nil {
		return nil, err
	}
	return wire.ParseFileStatus(answer)
}

// List yields the file at path, or those of the tree below it, in the order in
// which the namenode sorts each directory. A path with a slash at its end is a
// tree only. A tree without any file is ErrNotFound.
func (s *Source) List(ctx context.Context, path string) iter.Seq2[source.Entry, error] {
	return func(yield func(source.Entry, error) bool) {
		root := "/" + strings.Trim(path, "/")
		op := "listing " + s.identity + root
		status, err := s.statFile(ctx, root)
		switch {
		case err != nil:
			yield(source.Entry{}, s.classifyError(ctx, op, err))
		case status == nil || (status.Type != wire.Directory && strings.HasSuffix(path, "/")):
			yield(source.Entry{}, notFound(op))
		case status.Type != wire.Directory:
			yield(s.listedEntry(ctx, "", root, status))
		default:
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			w := &walk{ctx: ctx, source: s, yield: yield, ahead: map[string]chan firstPage{}}
			if err := w.listDirectory(root, ""); err != nil {
				yield(source.Entry{}, s.classifyError(ctx, op, err))
			} else if !w.found {
				yield(source.Entry{}, notFound(op))
			}
		}
	}
}

func notFound(op string) error {
	return &source.Error{Op: op, Class: source.ErrNotFound, Err: errors.New("no file is there, and none below it; check remotePath")}
}

// walk goes through a tree, with one page of each directory on the way, and a few that
// were asked for ahead.
type walk struct {
	ctx    context.Context
	source *Source
	yield  func(source.Entry, error) bool
	found  bool
	ended  bool

	mu sync.Mutex
	// ahead are the first pages of directories whose turn comes later, by their paths.
	ahead map[string]chan firstPage
}

// pagesAhead is how many directories are listed ahead: of a namenode that is far away
// their pages come together.
const pagesAhead = 64

// firstPage is the first page of a directory, or why there is none.
type firstPage struct {
	answer []byte
	err    error
}

// askAhead asks for the first pages of the directories that follow in a listing, and for
// those below them, as far as there is room.
func (w *walk) askAhead(path string, following []wire.FileStatus) {
	if source.IsOneAtATime(w.ctx) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range following {
		if len(w.ahead) >= pagesAhead {
			return
		}
		below := strings.TrimSuffix(path, "/") + "/" + following[i].Name
		if following[i].Type != wire.Directory || w.ahead[below] != nil {
			continue
		}
		page := make(chan firstPage, 1)
		w.ahead[below] = page
		go func() {
			var p firstPage
			defer func() { page <- p }()
			defer source.Catch("listing "+below, &p.err)
			p.answer, p.err = w.source.namenodes.callActive(w.ctx, "getListing", wire.ListingRequest(below, []byte{}))
			if p.err != nil {
				return
			}
			// Whoever takes the page says what is wrong of it.
			if listing, err := wire.ParseListing(p.answer); err == nil && listing != nil {
				w.askAhead(below, listing.Entries)
			}
		}()
	}
}

// fetchPage returns the page of a directory that follows a name, "" for the first.
func (w *walk) fetchPage(path string, after []byte) ([]byte, error) {
	if len(after) == 0 {
		w.mu.Lock()
		page := w.ahead[path]
		delete(w.ahead, path)
		w.mu.Unlock()
		if page != nil {
			p := <-page
			return p.answer, p.err
		}
	}
	return w.source.namenodes.callActive(w.ctx, "getListing", wire.ListingRequest(path, after))
}

// listDirectory yields what is below the directory at path; relative is where the
// caller sees it, "" or with a slash at its end.
func (w *walk) listDirectory(path, relative string) error {
	for after := []byte{}; ; {
		answer, err := w.fetchPage(path, after)
		if err != nil {
			return err
		}
		source.Alive(w.ctx)
		page, err := wire.ParseListing(answer)
		if err != nil {
			return fmt.Errorf("reading a listing: %w", err)
		}
		if page == nil {
			return &source.Error{Op: "listing " + path, Class: source.ErrChanged, Err: errors.New("the directory was removed meanwhile")}
		}
		for i := range page.Entries {
			status := &page.Entries[i]
			if err := w.ctx.Err(); err != nil {
				return err
			}
			if len(after) > 0 && status.Name == string(after) {
				return &source.Error{Op: "listing " + path, Class: source.ErrMisconfigured,
					Err: fmt.Errorf("asked for what comes after %q, the namenode lists it again; its listing has no end", after)}
			}
			below := strings.TrimSuffix(path, "/") + "/" + status.Name
			if status.Type == wire.Directory {
				w.askAhead(path, page.Entries[i:])
				if err := w.listDirectory(below, relative+status.Name+"/"); err != nil {
					return err
				}
			} else {
				w.found = true
				e, err := w.source.listedEntry(w.ctx, relative+status.Name, below, status)
				if err != nil {
					return err
				}
				w.ended = !w.yield(e, nil)
			}
			if w.ended {
				return nil
			}
		}
		if page.Remaining == 0 {
			return nil
		}
		if len(page.Entries) == 0 {
			return &source.Error{Op: "listing " + path, Class: source.ErrTemporary,
				Err: fmt.Errorf("the namenode says that %d more are in the directory, and lists none", page.Remaining)}
		}
		after = []byte(page.Entries[len(page.Entries)-1].Name)
	}
}

// listedEntry returns an entry. The namenode counts the bytes of complete blocks only:
// a file of none may be one whose first block is still being written, or one of
// which the namenode says something else than of its blocks. Only its locations
// tell.
func (s *Source) listedEntry(ctx context.Context, path, key string, status *wire.FileStatus) (source.Entry, error) {
	e := newEntry(path, key, status)
	if status.Type != wire.File || status.Length > 0 {
		return e, nil
	}
	op := "looking at " + s.identity + key
	locations, err := s.files.fetchLocations(ctx, key, 0)
	if remote, ok := errors.AsType[*rpc.RemoteError](err); ok && errors.Is(remoteClass(remote), source.ErrNotFound) {
		locations, err = nil, nil // it is not there any more
	}
	if err != nil {
		return e, s.classifyError(ctx, op, err)
	}
	source.Alive(ctx)
	// Whether it lies in an encryption zone, say, does not matter without bytes.
	if locations == nil || locations.Open || locations.Length > 0 {
		e.Fault = source.Wrap(ctx, op, checkLocations(locations, e))
	}
	return e, nil
}

// errOpen is why a file cannot be read yet.
var errOpen = errors.New("it is still being written; it can be read once its writer closes it")

func newEntry(path, key string, status *wire.FileStatus) source.Entry {
	e := source.Entry{Path: path, Key: key, Mode: fs.FileMode(status.Mode & 0o777), Identity: entryIdentity(status)}
	if status.Type == wire.Symlink {
		e.Link = status.Target
	} else {
		e.Size = status.Length
	}
	return e
}

// entryIdentity is made of the number of the inode, the time at which its content
// changed last, and its length. A file that is replaced has another inode, whose
// number is never used again; one that is appended to or truncated has another
// time and, except for a truncation to the same length within the millisecond,
// another length. A namenode that gives no numbers leaves a weak identity.
func entryIdentity(status *wire.FileStatus) source.Identity {
	weak := ""
	if status.ID == 0 {
		weak = "W/"
	}
	return source.Identity(fmt.Sprintf("%s%d-%d-%d", weak, status.ID, status.Modified, status.Length))
}

// Open finds the file's blocks, unless it did before, makes sure that the file
// at its path is still the one that was listed, and waits for the first bytes of
// a datanode. A file that is still being written is ErrTemporary.
func (s *Source) Open(ctx context.Context, e source.Entry, offset, length int64) (io.ReadCloser, error) {
	op := "reading " + s.identity + e.Key
	if offset < 0 || length < 0 || length > e.Size-offset {
		return nil, &source.Error{Op: op, Class: source.ErrChanged,
			Err: fmt.Errorf("the range %d+%d is beyond its %d bytes", offset, length, e.Size)}
	}
	locations, err := s.files.locateBlocks(ctx, e, nil)
	if err != nil {
		return nil, s.classifyError(ctx, op, err)
	}
	// The datanode answers while the namenode says whether the file is still the same.
	confirmed := make(chan error, 1)
	confirm := func() (l *wire.Locations, err error) {
		defer source.Catch(op, &err)
		return s.confirmLocations(ctx, e, locations)
	}
	r := &reader{ctx: ctx, op: op, source: s, entry: e, locations: locations, position: offset, end: offset + length}
	if length == 0 || checkLocations(locations, e) != nil {
		if r.locations, err = confirm(); err != nil {
			return nil, s.classifyError(ctx, op, err)
		}
		close(confirmed)
	} else {
		go func() {
			_, err := confirm()
			confirmed <- err
		}()
	}
	if length > 0 {
		err = r.openAtPosition()
	}
	if changed := <-confirmed; changed != nil {
		_ = r.Close() // the reader is not handed out
		return nil, s.classifyError(ctx, op, changed)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// locateBlocks returns where a file lies, as long as it is the one that was listed.
// Locations that turned out to be stale are asked for again.
func (s *Source) locateBlocks(ctx context.Context, e source.Entry, stale *wire.Locations) (*wire.Locations, error) {
	locations, err := s.files.locateBlocks(ctx, e, stale)
	if err != nil {
		return nil, err
	}
	return s.confirmLocations(ctx, e, locations)
}

// confirmLocations makes sure that locations are of the file that was listed. It comes
// after they did, so that they are of the file that it sees; where there are none, it
// asks for them by the file's path.
func (s *Source) confirmLocations(ctx context.Context, e source.Entry, locations *wire.Locations) (*wire.Locations, error) {
	status, err := s.statFile(ctx, e.Key)
	if err != nil {
		return nil, err
	}
	if status == nil {
		return nil, changedError("it is not there any more")
	}
	if now := entryIdentity(status); now != e.Identity {
		return nil, changedError(fmt.Sprintf("it is %s now, and was %s when it was listed", now, e.Identity))
	}
	if locations == nil {
		// Some namenodes, such as routers, find nothing by a number.
		if locations, err = s.files.locatePath(ctx, e); err != nil {
			return nil, err
		}
	}
	return locations, checkLocations(locations, e)
}

func changedError(text string) error {
	return &source.Error{Op: "checking the file", Class: source.ErrChanged, Err: errors.New(text)}
}

// checkLocations returns an error unless the blocks are those of a plain file of the
// size that was listed.
func checkLocations(l *wire.Locations, e source.Entry) error {
	failed := func(class error, text string) error {
		return &source.Error{Op: "finding its blocks", Class: class, Err: errors.New(text)}
	}
	switch {
	case l == nil:
		return changedError("it is not there any more")
	case l.Open:
		return failed(source.ErrTemporary, errOpen.Error())
	case l.Encrypted:
		return failed(source.ErrMisconfigured, "it lies in an encryption zone, whose keys Kuda does not ask for; copy it out of the zone")
	case l.Striped:
		return failed(source.ErrMisconfigured,
			"it is erasure coded, which Kuda does not read; copy it to a directory whose policy is replication")
	case l.Length != e.Size:
		return changedError(fmt.Sprintf("it has %d bytes now, and had %d when it was listed", l.Length, e.Size))
	}
	return nil
}
