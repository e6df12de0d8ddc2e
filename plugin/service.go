// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"connectrpc.com/connect"

	sourcev1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/source/v1alpha1"
	"github.com/kuda-io/kuda/internal/source/plugin/wire"
)

// trickleTime is how long content may wait for more of it.
const trickleTime = time.Second

// batchBytes is how much text of entries a message of List carries at least,
// unless it is the last one.
const batchBytes = 64 << 10

// service returns the calls of the protocol.
type service struct {
	options Options
	log     *slog.Logger
	sources *sources
	reads   chan struct{} // a token for each read that goes on
	buffers sync.Pool     // *[wire.ChunkBytes]byte
}

func newService(o Options) *service {
	return &service{
		options: o,
		log:     o.Log,
		sources: newSources(o.Open, o.IdleTime),
		reads:   make(chan struct{}, o.MaxReads),
		buffers: sync.Pool{New: func() any { return new([wire.ChunkBytes]byte) }},
	}
}

// Info says who the plugin is.
func (s *service) Info(context.Context,
	*connect.Request[sourcev1alpha1.InfoRequest]) (*connect.Response[sourcev1alpha1.InfoResponse], error) {
	return connect.NewResponse(&sourcev1alpha1.InfoResponse{Name: s.options.Name, Version: s.options.Version, Revision: wire.Revision}), nil
}

// Open names the storage system of a config.
func (s *service) Open(ctx context.Context,
	r *connect.Request[sourcev1alpha1.OpenRequest]) (*connect.Response[sourcev1alpha1.OpenResponse], error) {
	src, release, err := s.sources.acquireSource(ctx, r.Msg.GetConfig())
	if err != nil {
		return nil, s.logError(ctx, "opening a source", err)
	}
	defer release()
	return connect.NewResponse(&sourcev1alpha1.OpenResponse{Identity: src.Identity()}), nil
}

// List sends the entries at a path in batches.
func (s *service) List(ctx context.Context, r *connect.Request[sourcev1alpha1.ListRequest],
	out *connect.ServerStream[sourcev1alpha1.ListResponse]) error {
	src, release, err := s.sources.acquireSource(ctx, r.Msg.GetConfig())
	if err != nil {
		return s.logError(ctx, "opening a source", err)
	}
	defer release()
	var batch sourcev1alpha1.ListResponse
	size := 0
	for entry, err := range src.List(ctx, string(r.Msg.GetPath())) {
		if err == nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return s.logError(ctx, "listing", err)
		}
		m, err := wire.FromEntry(entry)
		if err != nil {
			return s.logError(ctx, "listing", &Error{Op: "listing", Class: ErrMisconfigured, Err: err})
		}
		batch.Entries = append(batch.Entries, m)
		// 64 bytes stand for what is not text.
		if size += wire.TextBytes(m) + 64; size < batchBytes {
			continue
		}
		if err := out.Send(&batch); err != nil {
			return err
		}
		batch.Entries, size = batch.Entries[:0], 0
	}
	if len(batch.Entries) == 0 {
		return nil
	}
	return out.Send(&batch)
}

// Read sends a range of a file in chunks.
func (s *service) Read(ctx context.Context, r *connect.Request[sourcev1alpha1.ReadRequest],
	out *connect.ServerStream[sourcev1alpha1.ReadResponse]) error {
	entry, err := wire.ToEntry(r.Msg.GetEntry())
	offset, length := r.Msg.GetOffset(), r.Msg.GetLength()
	if err == nil && (offset < 0 || length < 0 || offset > entry.Size-length) {
		err = fmt.Errorf("the range %d+%d is not one of a file of %d bytes", offset, length, entry.Size)
	}
	if err != nil {
		return s.logError(ctx, "reading", &Error{Op: "reading", Class: ErrMisconfigured, Err: err})
	}
	select {
	case s.reads <- struct{}{}:
		defer func() { <-s.reads }()
	case <-ctx.Done():
		return s.logError(ctx, "reading", context.Cause(ctx))
	}
	src, release, err := s.sources.acquireSource(ctx, r.Msg.GetConfig())
	if err != nil {
		return s.logError(ctx, "opening a source", err)
	}
	defer release()
	body, err := src.Open(ctx, entry, offset, length)
	if err != nil {
		return s.logError(ctx, "reading", err)
	}
	defer body.Close()
	// A message without content says that the file is open.
	if err := out.Conn().Send(&wire.Chunk{}); err != nil {
		return err
	}
	return s.sendBody(ctx, body, offset, out.Conn())
}

// sendBody sends a body to its end.
func (s *service) sendBody(ctx context.Context, body io.Reader, offset int64, out connect.StreamingHandlerConn) error {
	buffer := s.buffers.Get().(*[wire.ChunkBytes]byte)
	defer s.buffers.Put(buffer)
	var chunk wire.Chunk
	for {
		n, readErr := fillBuffer(body, buffer[:])
		if n > 0 {
			chunk.Offset, chunk.Data = offset, buffer[:n]
			if err := out.Send(&chunk); err != nil {
				return err
			}
			offset += int64(n)
		}
		switch {
		case readErr == nil:
		case errors.Is(readErr, io.EOF):
			return nil
		default:
			return s.logError(ctx, "reading", readErr)
		}
	}
}

// fillBuffer reads until a buffer is full, or a while has passed: a body that
// trickles is to be seen to move.
func fillBuffer(body io.Reader, buffer []byte) (n int, err error) {
	for started := time.Now(); n < len(buffer) && err == nil; {
		var more int
		more, err = body.Read(buffer[n:])
		n += more
		if n > 0 && time.Since(started) > trickleTime {
			break
		}
	}
	return n, err
}

// logError logs an error and returns the answer that tells it.
func (s *service) logError(ctx context.Context, op string, err error) error {
	if ctx.Err() == nil {
		s.log.Warn(op+" failed", "error", err.Error())
	}
	return wire.EncodeError(err)
}

// handlePanic is the error of a call whose code panicked.
func (s *service) handlePanic(_ context.Context, spec connect.Spec, _ http.Header, value any) error {
	s.log.Error("the source panicked", "call", spec.Procedure, "panic", fmt.Sprint(value), "stack", string(debug.Stack()))
	return wire.EncodeError(&Error{Op: "calling " + spec.Procedure, Class: ErrTemporary,
		Err: errors.New("the plugin's code panicked; its log has the stack, for its author")})
}
