// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
)

// journalName is the file in a download's directory with its journal.
const journalName = "journal"

// journal is an append-only file of what is on the disk already: a line per
// block of a large file, lines on the way there, and one per complete file. A line is written after the
// bytes it speaks of, so after a crash of the process it is true; after a crash
// of the machine it need not be, and what it says is checked (distrust).
type journal struct {
	// boot is this boot's name; sameBoot tells that the journal is of this boot.
	boot     string
	sameBoot bool

	mu     sync.Mutex
	file   *os.File
	buffer *bufio.Writer
	names  map[string]int
	last   int // the highest number in names, ever
}

// record is one line. The first names the boot, and for people the snapshot;
// each other is one of the kinds below.
type record struct {
	Format int           `json:"format,omitempty"`
	Boot   string        `json:"boot,omitempty"`
	Key    *snapshot.Key `json:"key,omitempty"`
	// A file that begins: N is what its blocks call it from here on.
	N        int    `json:"n,omitempty"`
	Path     string `json:"path,omitempty"`
	Size     int64  `json:"size,omitempty"`
	Identity string `json:"identity,omitempty"`
	// A block of the file N.
	Block int    `json:"block,omitempty"`
	Sum   string `json:"sum,omitempty"`
	// The first Bytes of a block, whose sum is Prefix. It is not called Sum: a
	// reader that does not know of prefixes must not take one for a block.
	Bytes  int64  `json:"bytes,omitempty"`
	Prefix string `json:"prefix,omitempty"`
	// A file that is complete.
	Done *snapshot.Entry `json:"done,omitempty"`
	// A file that is to be forgotten.
	Drop string `json:"drop,omitempty"`
}

// openJournal reads what is in a journal, cuts off a torn last line, and opens
// it for appending.
func openJournal(path string) (*journal, staged, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, staged{}, err
	}
	replay := newReplay()
	end, err := replay.readRecords(f)
	if err == nil {
		err = f.Truncate(end)
	}
	if err == nil {
		_, err = f.Seek(end, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, staged{}, err
	}
	boot := bootID()
	j := &journal{
		sameBoot: boot != "" && replay.boot == boot,
		boot:     boot,
		file:     f,
		buffer:   bufio.NewWriterSize(f, 16<<10),
		names:    replay.names,
		last:     replay.last,
	}
	return j, replay.staged, nil
}

// replay is the state that a journal's lines lead to.
type replay struct {
	boot   string
	staged staged
	names  map[string]int
	paths  map[int]string
	last   int
}

func newReplay() *replay {
	return &replay{staged: newStaged(), names: map[string]int{}, paths: map[int]string{}}
}

// readRecords applies the lines of f, and returns the offset behind the last good one.
func (r *replay) readRecords(f io.Reader) (end int64, err error) {
	lines := bufio.NewReaderSize(f, 64<<10)
	for first := true; ; first = false {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return end, nil
		}
		if err != nil {
			return end, err
		}
		if rec, ok := parseRecord(line); !ok || (first && rec.Format != snapshot.Format) || !r.applyRecord(rec) {
			return end, nil
		}
		end += int64(len(line))
	}
}

// parseRecord reports whether a line is a record.
func parseRecord(line []byte) (rec record, ok bool) {
	ok = json.Unmarshal(bytes.TrimSpace(line), &rec) == nil
	return rec, ok
}

// applyRecord reports whether a record made sense.
func (r *replay) applyRecord(rec record) bool {
	switch {
	case rec.Format != 0:
		r.boot = rec.Boot
	case rec.Done != nil:
		if !snapshot.ValidPath(rec.Done.Path) || rec.Done.Size < 0 {
			return false
		}
		r.staged.completeFile(*rec.Done)
	case rec.Drop != "":
		r.staged.forgetFile(rec.Drop)
		delete(r.names, rec.Drop)
	case rec.Path != "":
		if !snapshot.ValidPath(rec.Path) || rec.Size < 0 {
			return false
		}
		r.names[rec.Path], r.paths[rec.N] = rec.N, rec.Path
		r.last = max(r.last, rec.N)
		r.staged.beginFile(&Staged{Path: rec.Path, Size: rec.Size, Identity: rec.Identity,
			Blocks: map[int]digest.Sum{}, Prefixes: map[int]Prefix{}})
	case rec.Prefix != "":
		return r.applyPrefix(rec)
	case rec.Sum != "":
		return r.applySum(rec)
	default:
		return false
	}
	return true
}

// applyPrefix notes that a block is there up to a place, and reports whether the record
// is one that a writer writes.
func (r *replay) applyPrefix(rec record) bool {
	staged := r.staged.get(r.paths[rec.N])
	sum, err := digest.ParseSum(rec.Prefix)
	if staged == nil || err != nil || rec.Bytes <= 0 || rec.Bytes >= digest.BlockSize ||
		rec.Block < 0 || rec.Block >= digest.BlockCount(staged.Size) || int64(rec.Block)*digest.BlockSize+rec.Bytes > staged.Size {
		return false
	}
	if _, complete := staged.Blocks[rec.Block]; staged.Blocks != nil && !complete {
		staged.Prefixes[rec.Block] = Prefix{Bytes: rec.Bytes, Sum: sum}
	}
	return true
}

// applySum notes that a block is there as a whole, and reports whether the record is
// one that a writer writes.
func (r *replay) applySum(rec record) bool {
	staged := r.staged.get(r.paths[rec.N])
	sum, err := digest.ParseSum(rec.Sum)
	if staged == nil || err != nil || rec.Block < 0 || rec.Block >= digest.BlockCount(staged.Size) {
		return false
	}
	if staged.Blocks != nil {
		staged.Blocks[rec.Block] = sum
		delete(staged.Prefixes, rec.Block)
	}
	return true
}

// writeHeader names the boot that the following lines are of.
func (j *journal) writeHeader(key snapshot.Key) error {
	if err := j.writeRecord(record{Format: snapshot.Format, Boot: j.boot, Key: &key}); err != nil {
		return err
	}
	return j.flush()
}

// journalKey reads which snapshot a journal is of; the zero Key if it does not say.
func journalKey(path string) snapshot.Key {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return snapshot.Key{}
	}
	defer f.Close()
	line, _ := bufio.NewReader(io.LimitReader(f, 1<<20)).ReadBytes('\n')
	if rec, ok := parseRecord(line); ok && rec.Key != nil {
		return *rec.Key
	}
	return snapshot.Key{}
}

func (j *journal) writeRecord(r record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	_, err = j.buffer.Write(append(line, '\n'))
	return err
}

func (j *journal) flush() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buffer.Flush()
}

func (j *journal) close() { j.file.Close() }

// Begin records that the blocks of a large file will follow, where none did yet.
func (w *Writer) Begin(path string, size int64, identity string) error {
	j := w.journal
	j.mu.Lock()
	if _, ok := j.names[path]; ok {
		j.mu.Unlock()
		return nil
	}
	j.last++
	n := j.last
	j.names[path] = n
	j.mu.Unlock()
	return w.wrapRecordError(j.writeRecord(record{N: n, Path: path, Size: size, Identity: identity}))
}

// Block records that a block of a file that began is on the disk.
func (w *Writer) Block(path string, index int, sum digest.Sum) error {
	return w.wrapRecordError(w.journal.recordProgress(path, record{Block: index, Sum: sum.String()}))
}

// Prefix records how far a block of a file that began is on the disk.
func (w *Writer) Prefix(path string, index int, p Prefix) error {
	return w.wrapRecordError(w.journal.recordProgress(path, record{Block: index, Bytes: p.Bytes, Prefix: p.Sum.String()}))
}

// recordProgress records something of a file that began, and hands it to the kernel
// at once.
func (j *journal) recordProgress(path string, r record) error {
	j.mu.Lock()
	r.N = j.names[path]
	j.mu.Unlock()
	if err := j.writeRecord(r); err != nil {
		return err
	}
	return j.flush()
}

// Done records that a file is complete and right.
func (w *Writer) Done(e snapshot.Entry) error {
	return w.wrapRecordError(w.journal.writeRecord(record{Done: &e}))
}

// Flush hands what was recorded to the kernel, so that it survives a crash of
// the process.
func (w *Writer) Flush() error { return w.wrapRecordError(w.journal.flush()) }

func (w *Writer) wrapRecordError(err error) error {
	if err == nil {
		return nil
	}
	return w.store.space.spaceOr("recording a download", err, 0)
}
