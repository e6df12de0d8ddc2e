// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/kuda-io/kuda/internal/delivery/digest"
)

// rangeReader reads what is left of a span into its file.
type rangeReader struct {
	delivery *delivery
	span     *span
	out      *os.File
	buffer   []byte
}

// side is where bytes come from.
type side bool

const (
	sourceSide side = false
	cacheSide  side = true
)

// readError is an error of where bytes come from, not of where they go.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }
func (e *readError) Unwrap() error { return e.err }

// read reads from the source's cache, and what that does not serve from the source. It
// reports whether it was this reader that brought the span to its end.
func (r *rangeReader) read(ctx context.Context) (last bool, err error) {
	if r.span.file.fromCache != nil {
		last, err = r.readCached(ctx)
		failure, ok := errors.AsType[*readError](err)
		if !ok {
			return last, err
		}
		if err := r.delivery.cached.fallBack(ctx, r.span, failure.err); err != nil {
			return false, err
		}
	}
	last, err = r.readFrom(ctx, sourceSide)
	if failure, ok := errors.AsType[*readError](err); ok {
		err = failure.err
	}
	return last, err
}

// readCached reads from the cache, unless that does not have the file.
func (r *rangeReader) readCached(ctx context.Context) (last bool, err error) {
	if refused := r.span.file.refused.Load(); refused != nil {
		return false, &readError{refused}
	}
	return r.readFrom(ctx, cacheSide)
}

// readFrom reads from one side.
func (r *rangeReader) readFrom(ctx context.Context, from side) (last bool, err error) {
	s, d := r.span, r.delivery
	at := s.currentPosition()
	if at == s.length {
		return false, nil // the other reader was first
	}
	next := d.source
	if from == cacheSide {
		next = d.cached.source
	}
	body, err := next.Open(ctx, s.file.entry, s.offset+at, s.length-at)
	if err != nil {
		return false, &readError{err}
	}
	defer body.Close()
	s.markAnswered()
	for at < s.length && !last {
		n := min(int64(len(r.buffer)), s.length-at, digest.BlockSize-(s.offset+at)%digest.BlockSize)
		read, err := io.ReadFull(body, r.buffer[:n])
		d.moved[wide].Add(int64(read))
		d.report.countReceived(from, int64(read))
		if err != nil {
			return false, &readError{err}
		}
		if last, err = d.staging.writeChunk(s, r.out, chunk{from, r.buffer[:n], at}); err != nil {
			return false, err
		}
		at += n
	}
	if !last {
		return false, nil // the other reader was first
	}
	if err := atEnd(body); err != nil && from == sourceSide {
		return true, &readError{err}
	}
	return true, nil // what is wrong of a cache shows in the checksum
}

// chunk is what a reader found at a position of a span.
type chunk struct {
	from side
	p    []byte
	at   int64
}
