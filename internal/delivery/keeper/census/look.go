// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package census

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/confined"
	"github.com/kuda-io/kuda/internal/delivery/keeper/published"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
)

// How much of a store is looked at. A runtime's store stays far below each: what is
// beyond was put there by a stranger, is named, and is not counted.
const (
	maxSnapshots = 5_000
	maxMarks     = 100_000
	maxSmallFile = 256
	// maxText is how much of a name of a snapshot's source is kept, in bytes. It is as much
	// as a NodeStore shows.
	maxText = 1024
	// maxTime is how long a store is looked at. What was not seen by then counts as in
	// use.
	maxTime = 10 * time.Second
)

// What is kept of all stores of a node together is maxNodeSnapshots, so that memory is bounded.
// However much the others have, each store has minSnapshots: as many as a report lists. Of one
// store no more is kept than maxStoreText bytes of the names of its sources.
const (
	maxNodeSnapshots = 10_000
	minSnapshots     = 256
	maxStoreText     = 1 << 20
	// maxUnreadable is how much is said of what could not be read.
	maxUnreadable = 512
	// maxBytes is more than a store can hold. The sum of all stores stays a number.
	maxBytes = 1 << 52
)

var errSlow = fmt.Errorf("it takes longer than %s to read", maxTime)

// skewed is how far a time may be ahead of this clock. What is further in the future was
// not set by a runtime, and counts as never.
const skewed = time.Minute

// look is a look at one store.
type look struct {
	census  *Census
	dir     *confined.Dir
	place   Place
	volumes published.Volumes
	now     time.Time

	until time.Time

	// doubtful: not all that pods need is known.
	doubtful       bool
	users          int
	records        int64 // bytes that were read of them
	bytes          int64
	needed, wanted map[snapshot.ID]bool
	index          map[snapshot.ID]int
	out            *Store
}

// note keeps what could not be read. It returns errors that are the machine's.
func (l *look) note(what string, err error) error {
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist):
		return nil
	case confined.IsShortage(err):
		return fmt.Errorf("reading %s of store %s: %w", what, l.place, err)
	}
	if l.out.Unreadable == "" {
		l.out.Unreadable = cutText(fmt.Sprintf("%s: %v", what, reasonOf(err)), maxUnreadable)
	}
	return nil
}

// reasonOf is an error without the path, which is that of this container.
func reasonOf(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

func (l *look) readID() error {
	text, err := l.dir.ReadFile(store.IDFile, maxSmallFile)
	if id := strings.TrimSpace(string(text)); err == nil && store.ValidID(id) {
		l.out.ID = id
	}
	return l.note("the store's ID", err)
}

func (l *look) readSnapshots() error {
	l.index = map[snapshot.ID]int{}
	dir, err := l.dir.Dir(store.SnapshotsDir)
	if err != nil {
		return l.note("the snapshots", err)
	}
	defer dir.Close()
	locks, err := l.dir.Dir(store.LocksDir)
	if err != nil {
		return l.note("the locks", err)
	}
	defer locks.Close()
	var complete, partial []snapshot.ID
	most := max(min(maxSnapshots, maxNodeSnapshots-l.census.snapshots), minSnapshots)
	all, err := dir.List(most, func(e confined.Entry) bool {
		id, isPartial := strings.CutSuffix(e.Name, store.PartialSuffix)
		switch {
		case !e.Dir || !snapshot.ID(id).Valid():
		case isPartial:
			partial = append(partial, snapshot.ID(id))
		default:
			complete = append(complete, snapshot.ID(id))
		}
		return true
	})
	if err == nil && !all {
		err = fmt.Errorf("more than %d names", most)
	}
	if err := l.note("the snapshots", err); err != nil {
		return err
	}
	l.census.snapshots += len(complete) + len(partial)
	for _, id := range complete {
		if l.hasTimedOut() {
			return l.note("the snapshots", errSlow)
		}
		if err := l.readSnapshot(dir, locks, id); err != nil {
			return err
		}
	}
	for _, id := range partial {
		if err := l.readPartial(dir, locks, id); err != nil {
			return err
		}
	}
	return nil
}

func (l *look) readSnapshot(snapshots, locks *confined.Dir, id snapshot.ID) error {
	dir, err := snapshots.Dir(string(id))
	if err != nil {
		return l.note("snapshot "+string(id), err)
	}
	defer dir.Close()
	st, err := dir.Lstat(snapshot.ManifestName)
	if err != nil {
		return l.note("the manifest of snapshot "+string(id), err)
	}
	self, err := dir.Stat()
	if err != nil {
		return l.note("snapshot "+string(id), err)
	}
	identity := Identity{Device: self.Dev, Inode: self.Ino, Born: confined.Born(dir), Modified: st.Mtim.Nano()}
	m, err := l.header(dir, id, identity)
	if err != nil {
		return l.note("the manifest of snapshot "+string(id), err)
	}
	s := Snapshot{Identity: identity, Made: l.believed(time.Unix(0, st.Mtim.Nano())), Needed: l.doubtful || l.needed[id], Wanted: l.wanted[id]}
	s.Snapshot = store.Snapshot{ID: id, Key: l.census.keptKey(m.Key), Digest: m.Digest,
		Bytes: l.countBytes(m.Bytes), Files: m.Files, Used: s.Made}
	if lease, err := locks.Lstat(store.LeaseName(id)); err == nil {
		s.Used = l.believed(time.Unix(0, lease.Mtim.Nano()))
	}
	_, err = locks.Lstat(store.SuspectName(id))
	s.Suspect = err == nil
	if !s.Needed {
		if s.Leased, err = locks.IsLocked(store.LeaseName(id), unix.LOCK_EX); err != nil {
			s.Leased = true // in doubt it is in use
		}
		if err := l.note("the lease of snapshot "+string(id), err); err != nil {
			return err
		}
	}
	l.index[id] = len(l.out.Snapshots)
	l.out.Snapshots = append(l.out.Snapshots, s)
	return nil
}

// maxDigest is above the length of every digest.
const maxDigest = 160

// cutText returns a text of its own of at most so many bytes, which a message can carry.
func cutText(s string, most int) string {
	return strings.Clone(strings.ToValidUTF8(s[:min(len(s), most)], ""))
}

// countBytes is what is believed of a number of bytes that a process of the namespace wrote.
func (l *look) countBytes(n int64) int64 {
	n = min(max(n, 0), maxBytes-l.bytes)
	l.bytes += n
	return n
}

// hasTimedOut reports whether the store has had its time.
func (l *look) hasTimedOut() bool { return time.Now().After(l.until) }

// believed is a time that a runtime set, or the oldest there is where none can have set it.
func (l *look) believed(t time.Time) time.Time {
	if t.After(l.now.Add(skewed)) || t.Unix() < 0 {
		return time.Unix(0, 0)
	}
	return t
}

// header returns what is known of a manifest, or reads it.
func (l *look) header(dir *confined.Dir, id snapshot.ID, identity Identity) (*snapshot.Manifest, error) {
	key := headerKey{l.place, id}
	if known, ok := l.census.headers[key]; ok && known.identity == identity {
		known.round = l.census.round
		l.census.headers[key] = known
		return known.manifest, nil
	}
	f, err := dir.File(snapshot.ManifestName)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m, err := snapshot.DecodeHeader(bufio.NewReaderSize(f, 2<<10))
	if err != nil {
		return nil, err
	}
	// What is not kept of a key is not needed either.
	m.Key = snapshot.Key{Source: cutText(m.Key.Source, maxText), Path: cutText(m.Key.Path, maxText),
		Version: cutText(m.Key.Version, maxText/4)}
	m.Digest = cutText(m.Digest, maxDigest)
	l.census.headers[key] = header{identity, m, l.census.round}
	return m, nil
}

func (l *look) readPartial(snapshots, locks *confined.Dir, id snapshot.ID) error {
	dir, err := snapshots.Dir(string(id) + store.PartialSuffix)
	if err != nil {
		return l.note("download "+string(id), err)
	}
	defer dir.Close()
	p := Partial{Snapshot: store.Snapshot{ID: id}}
	text, err := dir.ReadFile(store.ReservedFile, maxSmallFile)
	if n, parseErr := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && parseErr == nil {
		p.Bytes = l.countBytes(n)
	}
	if st, err := dir.Stat(); err == nil {
		p.Used = l.believed(time.Unix(0, st.Mtim.Nano()))
	}
	if st, err := dir.Lstat(store.JournalFile); err == nil {
		if at := l.believed(time.Unix(0, st.Mtim.Nano())); at.After(p.Used) {
			p.Used = at
		}
	}
	p.Running, err = locks.IsLocked(store.WriterName(id), unix.LOCK_EX)
	if err := l.note("the lock of download "+string(id), err); err != nil {
		return err
	}
	l.out.Partials = append(l.out.Partials, p)
	return nil
}

func (l *look) readMarks() error {
	dir, err := l.dir.Dir(store.MarksDir)
	if err != nil {
		return l.note("the marks", err)
	}
	defer dir.Close()
	partials := map[snapshot.ID]*Partial{}
	for i := range l.out.Partials {
		partials[l.out.Partials[i].ID] = &l.out.Partials[i]
	}
	all, err := dir.List(maxMarks, func(e confined.Entry) bool {
		id, mark, ok := strings.Cut(e.Name, ".")
		if !ok || !store.ValidMark(mark) {
			return true
		}
		if i, found := l.index[snapshot.ID(id)]; found {
			l.out.Snapshots[i].Marks = addMark(l.out.Snapshots[i].Marks, mark)
		} else if p := partials[snapshot.ID(id)]; p != nil {
			p.Marks = addMark(p.Marks, mark)
		}
		return true
	})
	if err == nil && !all {
		err = fmt.Errorf("more than %d names", maxMarks)
	}
	return l.note("the marks", err)
}

// maxMarksEach is how many marks of one snapshot are kept; as many are reported.
const maxMarksEach = 16

// addMark keeps the first marks in their order, whatever the order in which they come.
func addMark(marks []string, mark string) []string {
	i := 0
	for i < len(marks) && marks[i] < mark {
		i++
	}
	if i == maxMarksEach {
		return marks
	}
	marks = append(marks[:i], append([]string{mark}, marks[i:]...)...)
	return marks[:min(len(marks), maxMarksEach)]
}
