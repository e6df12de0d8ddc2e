// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/source"
)

// readSpans reads spans until there are none.
func (d *delivery) readSpans(ctx context.Context, class laneClass) error {
	for {
		s, ok := d.queue.nextSpan(class)
		if !ok {
			return nil
		}
		if err := d.readWithBuffer(ctx, class, s); err != nil {
			return err
		}
	}
}

// readWithBuffer reads one span, and gives back what it took for that, come what may: the
// buffers are the engine's.
func (d *delivery) readWithBuffer(ctx context.Context, class laneClass, s *span) error {
	defer d.queue.releaseSpan(class, s)
	if s.sizeClass() == small {
		return d.readSmall(ctx, s)
	}
	buffers := d.engine.buffers[wide]
	buffer, err := buffers.get(ctx)
	if err != nil {
		return err
	}
	defer buffers.put(buffer)
	return d.readSpan(ctx, s, buffer[:chunkBytes(len(buffer), d.queue.currentWidth(wide))])
}

// readSpan brings a span of a large file to the disk, or helps to.
func (d *delivery) readSpan(ctx context.Context, s *span, buffer []byte) error {
	out, err := d.beginFile(ctx, s.file)
	if err != nil {
		return err
	}
	inner := s.addReader(ctx)
	last, err := d.retryFromStart(inner, s, func() (bool, error) { return (&rangeReader{d, s, out, buffer}).read(inner) })
	if err := s.removeReader(last, err); err != nil || !last {
		return err
	}
	startWriteback(out, s.offset, s.length)
	if s.file.countWritten(s.length) && s.file.follower == nil {
		return d.completeFile(ctx, s.file, buffer)
	}
	return nil
}

// retryFromStart reads a file once more from its start where the source cannot go on in
// the middle of it.
func (d *delivery) retryFromStart(ctx context.Context, s *span, read func() (bool, error)) (bool, error) {
	for failures := 1; ; failures++ {
		last, err := read()
		if err == nil || s.file.supportsRanges() || !d.engine.policy.Again(ctx, failures, err) {
			return last, err
		}
		d.report.done.Add(-s.resetPosition())
	}
}

// readSmall reads a file into a buffer and writes it with one call.
func (d *delivery) readSmall(ctx context.Context, s *span) error {
	if s.length == 0 {
		return d.writeSmall(s.file, nil)
	}
	var buffer []byte
	defer func() {
		if buffer != nil {
			d.engine.buffers[small].put(buffer)
		}
	}()
	inner := s.addReader(ctx)
	_, err := d.retryFromStart(inner, s, func() (bool, error) { return false, d.readAll(inner, s.file.entry, &buffer) })
	last := err == nil && s.claimWhole()
	if err := s.removeReader(last, err); err != nil || !last {
		return err
	}
	return d.writeSmall(s.file, buffer[:s.length])
}

// readAll fills a buffer with the whole of a file, whose end it sees. It takes the buffer
// once the source answers: most of the time of a request goes by until then.
func (d *delivery) readAll(ctx context.Context, e source.Entry, buffer *[]byte) error {
	body, err := d.source.Open(ctx, e, 0, e.Size)
	if err != nil {
		return err
	}
	defer body.Close()
	if *buffer == nil {
		if *buffer, err = d.engine.buffers[small].get(ctx); err != nil {
			return err
		}
	}
	n, err := io.ReadFull(body, (*buffer)[:e.Size])
	d.report.received.Add(int64(n))
	if err != nil {
		return err
	}
	return atEnd(body)
}

func atEnd(body io.Reader) error {
	var more [1]byte
	n, err := body.Read(more[:])
	if n > 0 {
		return &source.Error{Op: "reading", Class: source.ErrChanged, Err: errors.New("the body goes on after its end")}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// writeSmall writes a file of which everything is there. What is not what the
// source promised is not written at all.
func (d *delivery) writeSmall(f *file, content []byte) error {
	f.check.hashWhole(content)
	if err := f.check.compareDigest(f.entry.Path, f.entry.Size); err != nil {
		return err
	}
	modified, err := d.staging.dirs.writeFile(f.path, content, f.mode)
	if err != nil {
		return d.staging.writeError("writing", err, f)
	}
	d.staging.allocated.Add(f.left)
	d.report.done.Add(f.entry.Size)
	d.moved[small].Add(1)
	if len(content) > 0 {
		f.sums = []digest.Sum{digest.BlockSum(content)}
	}
	return d.staging.recordFile(f, modified)
}

// recordEvery is how many bytes of a block are written between two records of
// it: what a writer that dies has to have read again, of each connection.
const recordEvery = 1 << 20

// writeChunk takes what of a chunk is not on the disk yet, and reports whether that was
// the last of the span. A chunk does not cross the bounds of a block.
func (g *staging) writeChunk(s *span, out *os.File, c chunk) (last bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := c.p
	if c.at+int64(len(p)) <= s.position {
		return false, nil
	}
	p = p[s.position-c.at:]
	offset := s.offset + s.position
	if err := s.file.writeRange(out, p, offset); err != nil {
		return false, g.writeError("writing", err, s.file)
	}
	if s.block == nil {
		s.block = &blockSums{}
	}
	s.block.xxh3.Write(p)
	s.block.crc = s.file.check.addBytes(s.block.crc, p)
	if c.from == cacheSide {
		s.file.fromCache[offset/digest.BlockSize] = true
		s.file.cachedBytes.Add(int64(len(p)))
	}
	end := offset + int64(len(p))
	if end%digest.BlockSize == 0 || end == s.file.entry.Size {
		if err := g.recordBlock(s.file, int(offset/digest.BlockSize), s.block); err != nil {
			return false, err
		}
		s.block.crc = 0
	} else if end%recordEvery == 0 && s.file.keepsBlock(int(offset/digest.BlockSize)) {
		sum := store.Prefix{Bytes: end % digest.BlockSize, Sum: s.block.xxh3.Sum()}
		if err := g.writer.Prefix(s.file.path, int(offset/digest.BlockSize), sum); err != nil {
			return false, err
		}
	}
	g.report.done.Add(int64(len(p)))
	s.position += int64(len(p))
	return s.position == s.length, nil
}

// recordBlock records a block that is on the disk.
func (g *staging) recordBlock(f *file, index int, sums *blockSums) error {
	sum := sums.xxh3.Next()
	f.sums[index] = sum
	f.check.setBlockSum(index, sums.crc)
	if f.keepsBlock(index) {
		if err := g.writer.Block(f.path, index, sum); err != nil {
			return err
		}
	}
	if f.follower != nil {
		f.follower.addBlock(index)
	}
	return nil
}
