// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"github.com/pkg/sftp"

	"github.com/kuda-io/kuda/plugin"
)

const (
	// blockBytes is read at a time: eight requests of the protocol's size.
	blockBytes = 256 << 10
	// blocks is how many are under way, or wait to be taken.
	blocks = 4
)

// Open opens a range. The file is looked at before its first byte and after its
// last one: what changed in between is ErrChanged.
func (s *Source) Open(ctx context.Context, e plugin.Entry, offset, length int64) (io.ReadCloser, error) {
	op := "reading " + e.Key
	if offset < 0 || length < 0 || offset > e.Size-length {
		return nil, &plugin.Error{Op: op, Class: plugin.ErrMisconfigured,
			Err: fmt.Errorf("the range %d+%d is not one of a file of %d bytes", offset, length, e.Size)}
	}
	ctx, cancel := context.WithCancel(ctx)
	file, release, err := s.open(ctx, op, e)
	if err != nil {
		cancel()
		return nil, err
	}
	r := &reader{ctx: ctx, cancel: cancel, ready: make(chan block, blocks-2)}
	go func() {
		defer release()
		defer close(r.ready)
		r.fetch(op, file, e, offset, length)
		leave(file)
	}()
	return r, nil
}

func (s *Source) open(ctx context.Context, op string, e plugin.Entry) (*sftp.File, func(), error) {
	file, _, release, err := begin(ctx, s, func(c *connection) (*sftp.File, error) {
		file, err := c.sftp.Open(e.Key)
		if err == nil && ctx.Err() != nil {
			leave(file) // no caller waits any more
		}
		return file, err
	})
	if err != nil {
		return nil, nil, failed(ctx, op, err)
	}
	if err := unchanged(ctx, op, file, e); err != nil {
		leave(file)
		release()
		return nil, nil, err
	}
	return file, release, nil
}

// leave closes a file without waiting for the server's answer.
func leave(file *sftp.File) {
	go func() { _ = file.Close() }()
}

func unchanged(ctx context.Context, op string, file *sftp.File, e plugin.Entry) error {
	info, err := await(ctx, func() (fs.FileInfo, error) { return file.Stat() })
	if err != nil {
		return failed(ctx, op, err)
	}
	if !same(e, info) {
		return &plugin.Error{Op: op, Class: plugin.ErrChanged,
			Err: fmt.Errorf("it is %s now, and was %s when it was listed", stamp(info), e.Identity)}
	}
	return nil
}

// memory has the content of blocks. What a cancelled request may still write to
// is not put back.
var memory = sync.Pool{New: func() any { return new([blockBytes]byte) }}

// block is a part of the content, or the error in its place.
type block struct {
	content []byte
	err     error
}

// reader takes blocks that a goroutine reads ahead.
type reader struct {
	ctx    context.Context
	cancel context.CancelFunc
	ready  chan block
	block  []byte // the current one, and what is left of it
	rest   []byte
	err    error
}

// fetch reads the range block by block, and sends io.EOF after the last one.
func (r *reader) fetch(op string, file *sftp.File, e plugin.Entry, offset, length int64) {
	for end := offset + length; offset < end; {
		content := memory.Get().(*[blockBytes]byte)[:min(blockBytes, end-offset)]
		n, err := await(r.ctx, func() (int, error) { return file.ReadAt(content, offset) })
		switch {
		case n == len(content): // io.EOF may come with the file's last byte
		case errors.Is(err, io.EOF):
			r.send(block{nil, &plugin.Error{Op: op, Class: plugin.ErrChanged, Err: errors.New("the file is shorter than it was listed")}})
			return
		default:
			r.send(block{nil, failed(r.ctx, op, err)})
			return
		}
		offset += int64(n)
		last := offset == end
		if last {
			if err := unchanged(r.ctx, op, file, e); err != nil {
				r.send(block{nil, err})
				return
			}
		}
		if !r.send(block{content, nil}) {
			return
		}
	}
	r.send(block{nil, io.EOF})
}

func (r *reader) send(b block) bool {
	select {
	case r.ready <- b:
		return true
	case <-r.ctx.Done():
		return false
	}
}

func (r *reader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.done()
		select {
		case b, ok := <-r.ready:
			r.block, r.rest, r.err = b.content, b.content, b.err
			if !ok {
				r.err = plugin.Wrap(r.ctx, "reading", context.Cause(r.ctx))
			}
		case <-r.ctx.Done():
			r.err = plugin.Wrap(r.ctx, "reading", context.Cause(r.ctx))
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// done gives the current block's memory back.
func (r *reader) done() {
	if r.block != nil {
		memory.Put((*[blockBytes]byte)(r.block[:blockBytes]))
	}
	r.block, r.rest = nil, nil
}

// Close ends the reading ahead.
func (r *reader) Close() error {
	r.cancel()
	r.done()
	r.err = io.ErrClosedPipe
	return nil
}
