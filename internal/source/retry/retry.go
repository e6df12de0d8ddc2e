// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package retry

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"iter"

	"github.com/zeebo/xxh3"

	"github.com/kuda-io/kuda/internal/source"
)

// New returns a source that reads from next by the policy.
func New(next source.Source, p Policy) source.Source {
	return &retrying{next: next, policy: p.withDefaults()}
}

type retrying struct {
	next   source.Source
	policy Policy
}

func (s *retrying) Identity() string { return s.next.Identity() }
func (s *retrying) Close() error     { return s.next.Close() }

// List lists again after a failure and skips what it has yielded, if it is
// still the same.
func (s *retrying) List(ctx context.Context, path string) iter.Seq2[source.Entry, error] {
	return func(yield func(source.Entry, error) bool) {
		var done fingerprint
		for failures := 0; ; {
			before := done.count
			stopped, err := s.listOnce(ctx, path, &done, yield)
			if stopped || err == nil {
				return
			}
			if done.count > before {
				failures = 0
			}
			failures++
			if !s.policy.Again(ctx, failures, err) {
				yield(source.Entry{}, err)
				return
			}
		}
	}
}

// listOnce yields what follows the first done.count entries, and returns the
// listing's error, or that the consumer stopped.
func (s *retrying) listOnce(ctx context.Context, path string, done *fingerprint,
	yield func(source.Entry, error) bool) (stopped bool, err error) {
	var seen fingerprint
	for entry, err := range s.next.List(ctx, path) {
		if err != nil {
			return false, err
		}
		if seen.addEntry(entry); seen.count > done.count {
			*done = seen
			if !yield(entry, nil) {
				return true, nil
			}
		} else if seen.count == done.count && seen != *done {
			return false, &source.Error{Op: "listing " + path, Class: source.ErrChanged,
				Err: errors.New("the listing is another one than before")}
		}
	}
	if seen.count < done.count {
		return false, &source.Error{Op: "listing " + path, Class: source.ErrChanged,
			Err: errors.New("the listing is shorter than before")}
	}
	return false, nil
}

// fingerprint stands for the entries of a listing, in order.
type fingerprint struct {
	count int
	hash  uint64
}

func (f *fingerprint) addEntry(e source.Entry) {
	var text []byte
	text = binary.LittleEndian.AppendUint64(text, f.hash)
	text = binary.LittleEndian.AppendUint64(text, uint64(e.Size))
	text = append(append(append(text, e.Path...), 0), e.Identity...)
	f.count++
	f.hash = xxh3.Hash(text)
}

// Open opens a range. Where the entry's identity proves that it is the same
// object, a reader whose connection breaks opens the rest of the range.
func (s *retrying) Open(ctx context.Context, e source.Entry, offset, length int64) (io.ReadCloser, error) {
	r := &resuming{ctx: ctx, source: s, entry: e, offset: offset, left: length}
	if err := r.openRemaining(); err != nil {
		return nil, err
	}
	return r, nil
}

// resuming is a reader over one or more bodies.
type resuming struct {
	ctx      context.Context
	source   *retrying
	entry    source.Entry
	offset   int64
	left     int64
	failures int
	// slow is how often a body was too slow: that it brought something is no
	// progress then.
	slow int
	body io.ReadCloser
}

// openRemaining opens what is left, however often the policy allows.
func (r *resuming) openRemaining() error {
	for {
		body, err := r.source.next.Open(r.ctx, r.entry, r.offset, r.left)
		if err == nil {
			r.body = body
			return nil
		}
		r.failures++
		if !r.source.policy.Again(r.ctx, r.failures, err) {
			return err
		}
	}
}

func (r *resuming) Read(p []byte) (int, error) {
	for {
		if r.body == nil {
			return 0, io.ErrClosedPipe
		}
		n, err := r.body.Read(p)
		r.offset += int64(n)
		r.left -= int64(n)
		if n > 0 {
			r.failures = 0
		}
		if err == nil || errors.Is(err, io.EOF) {
			return n, err
		}
		if !r.canResume(err) {
			return n, err
		}
		r.closeBody()
		r.failures++
		if errors.Is(err, errSlow) {
			if r.slow++; r.slow >= r.source.policy.Attempts {
				return n, err
			}
		}
		if !r.source.policy.Again(r.ctx, r.failures, err) {
			return n, err
		}
		if err := r.openRemaining(); err != nil {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
	}
}

func (r *resuming) canResume(err error) bool {
	return r.left > 0 && r.entry.Identity.Strong() && !r.entry.NoRanges && source.Temporary(err)
}

func (r *resuming) closeBody() {
	if r.body != nil {
		r.body.Close()
		r.body = nil
	}
}

func (r *resuming) Close() error {
	r.closeBody()
	return nil
}
