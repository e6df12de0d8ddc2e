// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"

	"connectrpc.com/connect"

	sourcev1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/source/v1alpha1"
	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/plugin/wire"
)

// startRead starts reading a range. It returns once the plugin has sent a message,
// so that an error of opening is one of Open.
func (s *Source) startRead(ctx context.Context, e source.Entry, offset, length int64) (io.ReadCloser, error) {
	op := fmt.Sprintf("reading %q", e.Key)
	if offset < 0 || length < 0 || offset > e.Size-length {
		return nil, &source.Error{Op: "plugin " + s.name + ": " + op, Class: source.ErrMisconfigured,
			Err: fmt.Errorf("the range %d+%d is not one of a file of %d bytes", offset, length, e.Size)}
	}
	entry, err := wire.FromEntry(e)
	if err != nil {
		return nil, s.protocolError(op, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	l := s.lanes.get()
	r := &reader{source: s, op: op, ctx: ctx, cancel: cancel, lane: l, next: offset, left: length}
	stream, err := l.client.Read(ctx, connect.NewRequest(&sourcev1alpha1.ReadRequest{
		Config: s.config, Entry: entry, Offset: offset, Length: length}))
	if err == nil {
		r.stream, err = stream.Conn()
	}
	if err != nil {
		cancel()
		s.lanes.put(l)
		return nil, s.classifyError(ctx, op, err)
	}
	if err := r.receiveMessage(nil); err != nil && !errors.Is(err, io.EOF) {
		_ = r.Close()
		return nil, err
	}
	return r, nil
}

// reader yields the content of one call of Read.
type reader struct {
	source *Source
	op     string
	ctx    context.Context
	cancel context.CancelFunc
	lane   *lane
	stream connect.StreamingClientConn
	chunk  wire.Chunk
	next   int64 // offset in the file of the next message's content
	left   int64 // bytes of the range that have not been received
	rest   []byte
	err    error
}

// Read receives content into p itself where it has room for a message.
func (r *reader) Read(p []byte) (int, error) {
	if r.stream == nil {
		return 0, io.ErrClosedPipe
	}
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.rest) == 0 && r.err == nil {
		if err := r.receiveMessage(p); err != nil {
			break
		}
		if r.chunk.Len > 0 {
			return r.chunk.Len, nil
		}
	}
	if len(r.rest) > 0 {
		n := copy(p, r.rest)
		r.rest = r.rest[n:]
		return n, nil
	}
	return 0, r.err
}

// receiveMessage receives one message: what has room in p, and r.rest. After the
// range's last byte it receives the call's outcome. Its error is kept.
func (r *reader) receiveMessage(p []byte) error {
	r.chunk = wire.Chunk{Into: p, Rest: r.chunk.Rest[:0]}
	err := r.stream.Receive(&r.chunk)
	r.rest = r.chunk.Rest
	n := int64(r.chunk.Len + len(r.rest))
	switch {
	case err != nil:
		r.err = r.endError(err)
	case n > r.left:
		r.err = r.source.protocolError(r.op, errors.New("it sent more bytes than were asked for"))
	case r.chunk.Offset != r.next && n > 0:
		r.err = r.source.protocolError(r.op, fmt.Errorf("it sent the bytes from %d on instead of those from %d on", r.chunk.Offset, r.next))
	default:
		r.next += n
		r.left -= n
		return nil
	}
	r.rest = nil
	return r.err
}

// endError says what the end of the stream means.
func (r *reader) endError(err error) error {
	switch {
	case !errors.Is(err, io.EOF):
		return r.source.classifyError(r.ctx, r.op, err)
	case r.left > 0:
		return &source.Error{Op: "plugin " + r.source.name + ": " + r.op, Class: source.ErrTemporary,
			Err: fmt.Errorf("the content ended %d bytes early", r.left)}
	}
	return io.EOF
}

// Close ends the call, wherever it is.
func (r *reader) Close() error {
	if r.stream == nil {
		return nil
	}
	r.cancel()
	_ = r.stream.CloseResponse() // the outcome no longer matters
	r.source.lanes.put(r.lane)
	r.stream = nil
	return nil
}
