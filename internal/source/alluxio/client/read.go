// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"io"

	"connectrpc.com/connect"

	"github.com/kuda-io/kuda/internal/source/alluxio/wire"
)

// receiptBytes is how much arrives between two receipts: a worker stops sending when it
// has none for 4 MiB.
const receiptBytes = 1 << 20

// OpenRange opens a range of a file, one block after the other. It returns once the
// first worker has answered. attempts is how many workers are asked at most for a block
// of which nothing was read yet.
func (c *Client) OpenRange(ctx context.Context, f *wire.FileInfo, offset, length int64, attempts int) (io.ReadCloser, error) {
	if offset < 0 || length < 0 || offset > f.Length-length {
		return nil, fmt.Errorf("the range %d+%d is beyond the %d bytes of %s", offset, length, f.Length, f.Path)
	}
	r := &reader{client: c, ctx: ctx, file: f, position: offset, end: offset + length, attempts: attempts}
	if length > 0 {
		if err := r.openAtPosition(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// reader yields a range of a file.
type reader struct {
	client        *Client
	ctx           context.Context
	file          *wire.FileInfo
	position, end int64
	attempts      int
	block         *blockReader
	err           error
}

// openAtPosition opens the block that has the next byte.
func (r *reader) openAtPosition() error {
	at := int(r.position / r.file.BlockSize)
	if at >= len(r.file.Blocks) { // Check saw to it that they are in a row
		return fmt.Errorf("the file %s has no block %d", r.file.Path, at)
	}
	b := r.file.Blocks[at]
	live, err := r.client.Workers(r.ctx)
	if err != nil {
		return err
	}
	if len(live) == 0 {
		return ErrNoWorker
	}
	from := r.position - b.Offset
	length := min(r.file.Size(b)-from, r.end-r.position)
	var failures []error
	for _, address := range chooseWorkers(b, live)[:min(r.attempts, len(live))] {
		r.block, err = openBlock(r.ctx, r.client.worker(address), wire.ReadRequest(r.file, b, from, length), from, length)
		if err == nil {
			return nil
		}
		if cause := context.Cause(r.ctx); cause != nil {
			return cause
		}
		failures = append(failures, fmt.Errorf("asking the worker %s: %w", address, err))
	}
	r.client.forgetWorkers()
	return errors.Join(failures...)
}

func (r *reader) Read(p []byte) (int, error) {
	for r.err == nil {
		if r.position == r.end {
			return 0, io.EOF
		}
		if r.block == nil {
			if r.err = r.openAtPosition(); r.err != nil {
				break
			}
		}
		n, err := r.block.Read(p)
		r.position += int64(n)
		if errors.Is(err, io.EOF) {
			r.block.close()
			r.block, err = nil, nil
		}
		r.err = err
		if n > 0 {
			return n, nil
		}
	}
	return 0, r.err
}

// Close ends the call, wherever it is.
func (r *reader) Close() error {
	if r.block != nil {
		r.block.close()
		r.block = nil
	}
	if r.err == nil {
		r.err = io.ErrClosedPipe
	}
	return nil
}

// blockReader yields a part of a block from one worker.
type blockReader struct {
	host   *host
	lane   *lane
	cancel context.CancelFunc
	// stop ends the wait for the caller's context.
	stop   func() bool
	stream *connect.BidiStreamForClient[wire.Message, wire.Chunk]
	conn   connect.StreamingClientConn
	chunk  wire.Chunk
	rest   []byte
	// position in the block, up to which a receipt was sent, and the end.
	position, receipt, end int64
	// err is why it failed.
	err error
}

// openBlock opens a part of a block and waits for its first bytes.
func openBlock(callerCtx context.Context, h *host, request wire.Message, offset, length int64) (*blockReader, error) {
	for attempt := 1; ; attempt++ {
		channel, err := h.signIn(callerCtx)
		if err != nil {
			return nil, err
		}
		r := &blockReader{host: h, lane: h.getLane(), position: offset, receipt: offset, end: offset + length}
		ctx, cancel := context.WithCancel(callerCtx)
		r.cancel = cancel
		r.stream = newCall[wire.Chunk](r.lane, wire.ReadBlock).CallBidiStream(ctx)
		setChannel(r.stream.RequestHeader(), channel)
		stream := r.stream
		r.stop = context.AfterFunc(ctx, func() { endStream(cancel, stream) })
		err = r.stream.Send(&request)
		if err == nil || errors.Is(err, io.EOF) { // what is wrong comes with the answer
			if r.conn, err = r.stream.Conn(); err == nil {
				err = r.receive(nil)
			}
		}
		if err == nil {
			return r, nil
		}
		again := attempt < attempts && h.mayRepeat(callerCtx, channel, r.lane, err)
		r.err = err
		r.close()
		if !again {
			return nil, err
		}
	}
}

// Read yields what the worker sends, and io.EOF after the last byte of the part.
func (r *blockReader) Read(p []byte) (n int, err error) {
	switch {
	case len(r.rest) > 0:
		n = copy(p, r.rest)
		r.rest = r.rest[n:]
	case r.position == r.end:
		return 0, io.EOF
	default:
		if r.err = r.receive(p); r.err != nil {
			return 0, r.err
		}
		n = r.chunk.Len
	}
	return n, nil
}

// receive receives one message: what has room in p, and r.rest.
func (r *blockReader) receive(p []byte) error {
	r.chunk.Into = p
	if err := r.conn.Receive(&r.chunk); err != nil {
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("the worker ended %d bytes early: %w", r.end-r.position, io.ErrUnexpectedEOF)
		}
		return err
	}
	r.rest = r.chunk.Rest
	r.position += int64(r.chunk.Len + len(r.rest))
	if r.position > r.end {
		return errors.New("the worker sent more than was asked for")
	}
	if r.position-r.receipt >= receiptBytes && r.position < r.end {
		r.receipt = r.position
		receipt := wire.Receipt(r.position)
		if err := r.stream.Send(&receipt); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	return nil
}

func (r *blockReader) close() {
	if r.stream == nil {
		return
	}
	r.stop()
	if r.position == r.end {
		_ = r.stream.CloseRequest() // the worker ends the block in order
	}
	endStream(r.cancel, r.stream)
	_ = r.stream.CloseResponse() // the outcome no longer matters
	r.host.returnLane(r.lane, r.err)
	r.stream = nil
}
