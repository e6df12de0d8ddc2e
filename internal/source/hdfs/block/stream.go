// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package block

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/kuda-io/kuda/internal/source/hdfs/wire"
)

// ErrChecksum tells that a datanode sent bytes that do not match their checksums.
var ErrChecksum = errors.New("the bytes do not match their checksums")

var errPacket = errors.New("the datanode sent a packet that cannot follow")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const (
	checksumBytes = 4
	// The largest values that Hadoop itself accepts.
	maxPacket = 16 << 20
	maxChunk  = maxPacket
)

// Stream is a range of a block as it comes from one datanode.
type Stream struct {
	conn  *Conn
	table *crc32.Table // nil for no checksums
	chunk int
	// position is the offset in the block of the first byte of data; begin and
	// end are those of the range.
	position, begin, end int64
	// data are verified bytes of the range. They lie in the connection's buffer
	// or in scratch.
	data    []byte
	scratch []byte
	// sums are the checksums of the packet's left bytes, copied out of the buffer
	// into sumBuffer.
	sums, sumBuffer []byte
	left            int
	seq             int64
	// buffered is how much of the connection's buffer data is.
	buffered int
	// patient tells that wakeAt is in force.
	patient bool
}

func newStream(c *Conn, r wire.ReadResponse, offset, length int64) (*Stream, error) {
	s := &Stream{conn: c, chunk: int(r.Chunk), position: r.Offset, begin: offset, end: offset + length}
	switch r.Checksum {
	case wire.ChecksumCRC32C:
		s.table = castagnoli
	case wire.ChecksumCRC32:
		s.table = crc32.IEEETable
	case wire.ChecksumNone:
		s.chunk = maxChunk
	default:
		return nil, fmt.Errorf("the datanode uses checksums of the unknown kind %d", r.Checksum)
	}
	if s.chunk <= 0 || s.chunk > maxChunk || s.position < 0 || s.position > offset {
		return nil, errPacket
	}
	return s, nil
}

// Read reads verified bytes of the range; io.EOF follows its last one.
func (s *Stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(s.data) == 0 {
		if s.position >= s.end {
			return 0, io.EOF
		}
		if err := s.readChunks(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.data)
	s.data = s.data[n:]
	return n, nil
}

// discardBuffered drops what data was of the connection's buffer.
func (s *Stream) discardBuffered() {
	if s.buffered > 0 {
		_, _ = s.conn.in.Discard(s.buffered) // they are there
		s.buffered = 0
	}
}

// readChunks makes the next chunks available.
func (s *Stream) readChunks() error {
	s.discardBuffered()
	if more := s.end-s.position-int64(s.conn.in.Buffered()) > wakeMargin; more != s.patient && s.seq > 0 {
		s.patient = more
		wakeAt(s.conn.Conn, map[bool]int{true: wakeBytes, false: 1}[more])
	}
	for s.left == 0 {
		if err := s.readHeader(); err != nil {
			return err
		}
	}
	// As many whole chunks as one read of the kernel brought, at least one.
	want := min(s.left, s.chunk)
	if want > s.conn.in.Size() {
		return s.verifyChunks(s.readLargeChunk(want))
	}
	if _, err := s.conn.in.Peek(want); err != nil {
		return wire.UnexpectedEOF(err)
	}
	if there := s.conn.in.Buffered(); there >= s.left {
		want = s.left
	} else {
		want = there / s.chunk * s.chunk
	}
	b, err := s.conn.in.Peek(want)
	s.buffered = len(b)
	return s.verifyChunks(b, err)
}

// readLargeChunk reads a chunk that does not fit into the connection's buffer.
func (s *Stream) readLargeChunk(n int) ([]byte, error) {
	if cap(s.scratch) < n {
		s.scratch = make([]byte, n)
	}
	_, err := io.ReadFull(s.conn.in, s.scratch[:n])
	return s.scratch[:n], err
}

// verifyChunks checks whole chunks, and leaves in data what the range has of them.
func (s *Stream) verifyChunks(b []byte, err error) error {
	if err != nil {
		return wire.UnexpectedEOF(err)
	}
	if s.table != nil {
		rest := b
		for len(rest) > 0 {
			n := min(s.chunk, len(rest))
			if crc32.Checksum(rest[:n], s.table) != binary.BigEndian.Uint32(s.sums) {
				return ErrChecksum
			}
			rest, s.sums = rest[n:], s.sums[checksumBytes:]
		}
	}
	from := min(max(s.begin-s.position, 0), int64(len(b)))
	to := max(min(s.end-s.position, int64(len(b))), from)
	s.data = b[from:to]
	s.position += int64(len(b))
	s.left -= len(b)
	return nil
}

// readHeader reads the head of a packet and its checksums.
//
//	4 bytes  length of this, the checksums and the data
//	2 bytes  length of the header
//	         header, checksums, data
func (s *Stream) readHeader() error {
	fixed, err := s.conn.in.Peek(6)
	if err != nil {
		return wire.UnexpectedEOF(err)
	}
	length, headerLength := int64(binary.BigEndian.Uint32(fixed)), int(binary.BigEndian.Uint16(fixed[4:]))
	head, err := s.conn.in.Peek(6 + headerLength)
	if err != nil {
		return wire.UnexpectedEOF(err)
	}
	h, err := wire.ParsePacketHeader(head[6:])
	if err != nil {
		return fmt.Errorf("reading a packet: %w", err)
	}
	_, _ = s.conn.in.Discard(len(head))
	sums := 0
	if s.table != nil && h.Length > 0 {
		sums = (int(h.Length) + s.chunk - 1) / s.chunk * checksumBytes
	}
	if h.Length < 0 || h.Length > maxPacket || h.Seq != s.seq || length != int64(4+sums)+int64(h.Length) ||
		(h.Length > 0 && h.Offset != s.position) || h.Last {
		return errPacket // an early last packet too: the range has not come to its end
	}
	s.seq++
	if cap(s.sumBuffer) < sums {
		s.sumBuffer = make([]byte, sums)
	}
	s.sums = s.sumBuffer[:sums]
	if _, err := io.ReadFull(s.conn.in, s.sums); err != nil {
		return wire.UnexpectedEOF(err)
	}
	s.left = int(h.Length)
	return nil
}

// Finish tells the datanode, once everything was read, that it was right. After
// it the connection can be used for another range; when it fails, not.
func (s *Stream) Finish() error {
	if len(s.data) > 0 || s.position < s.end || s.left > 0 {
		return errors.New("the range was not read to its end")
	}
	s.discardBuffered()
	// The last packet is empty.
	fixed, err := s.conn.in.Peek(6)
	if err != nil {
		return wire.UnexpectedEOF(err)
	}
	head, err := s.conn.in.Peek(6 + int(binary.BigEndian.Uint16(fixed[4:])))
	if err != nil {
		return wire.UnexpectedEOF(err)
	}
	h, err := wire.ParsePacketHeader(head[6:])
	if err != nil || !h.Last || h.Length != 0 {
		return errPacket
	}
	_, _ = s.conn.in.Discard(len(head))
	if _, err := s.conn.out.Write(wire.Delimited(nil, wire.ReadStatus(wire.StatusChecksumOK))); err != nil {
		return err
	}
	if s.conn.in.Buffered() > 0 {
		return errPacket
	}
	return nil
}
