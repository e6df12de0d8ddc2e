// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package odd

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net"

	"github.com/kuda-io/kuda/internal/source/hdfs/wire"
)

const (
	chunkBytes  = 512
	packetBytes = 64 << 10
	// statusError is what a datanode answers about a block that it does not have.
	statusError = 1
)

// errCut tells that a connection is to end in the middle of a block.
var errCut = errors.New("the connection is cut")

// serveBlocks returns the requests of one connection to the datanode.
func (s *Server) serveBlocks(conn net.Conn, in *bufio.Reader) error {
	for {
		// The version and the kind of the request, which is always to read.
		if _, err := in.Discard(3); err != nil {
			return err
		}
		request, err := readDelimited(in)
		if err != nil {
			return err
		}
		header, ranged := parseFields(parseFields(request).bodies[1]), parseFields(request).numbers
		id := parseFields(parseFields(header.bodies[1]).bodies[1]).numbers[2]
		f, faults, ok := s.blockOf(id)
		if !ok {
			if _, err := conn.Write(wire.Delimited(nil, message{}.uint(1, statusError).text(5, "no such replica"))); err != nil {
				return err
			}
			continue
		}
		begin, end := int(ranged[2]), int(ranged[2]+ranged[3])
		if faults.IgnoreRanges {
			begin, end = 0, len(f.content)
		}
		if err := s.sendBlock(conn, f.content, begin, end); err != nil {
			return err
		}
		if _, err := readDelimited(in); err != nil { // whether the sums were right
			return err
		}
	}
}

func readDelimited(in *bufio.Reader) ([]byte, error) {
	n, err := binary.ReadUvarint(in)
	if err != nil {
		return nil, err
	}
	b := make([]byte, n)
	_, err = io.ReadFull(in, b)
	return b, err
}

func (s *Server) blockOf(id uint64) (file, Faults, bool) {
	for _, path := range s.pathsBelow("") {
		if f, faults, _ := s.findFile(path); f.block == id {
			return f, faults, true
		}
	}
	return file{}, Faults{}, false
}

// sendBlock sends whole chunks with their sums: those that have the range.
func (s *Server) sendBlock(conn net.Conn, content []byte, begin, end int) error {
	out := bufio.NewWriterSize(conn, packetBytes)
	at := begin / chunkBytes * chunkBytes
	end = min((end+chunkBytes-1)/chunkBytes*chunkBytes, len(content))
	checksum := message{}.uint(1, wire.ChecksumCRC32C).uint(2, chunkBytes)
	_, _ = out.Write(wire.Delimited(nil, message{}.uint(1, wire.StatusSuccess).bytes(4, message{}.bytes(1, checksum).uint(2, uint64(at)))))
	last := at + s.take(end-at)
	for sequence := uint64(0); ; sequence++ {
		data := content[at:min(at+packetBytes, last)]
		if len(data) == 0 && last < end {
			return errors.Join(out.Flush(), errCut)
		}
		_, _ = out.Write(dataPacket(uint64(at), sequence, data))
		if len(data) == 0 { // the last one
			return out.Flush()
		}
		at += len(data)
	}
}

func dataPacket(offset, sequence uint64, data []byte) []byte {
	header := message{}.fixed64(1, offset).fixed64(2, sequence).bool(3, len(data) == 0).fixed32(4, uint32(len(data)))
	var sums []byte
	for rest := data; len(rest) > 0; {
		n := min(chunkBytes, len(rest))
		sums = binary.BigEndian.AppendUint32(sums, crc32.Checksum(rest[:n], crc32.MakeTable(crc32.Castagnoli)))
		rest = rest[n:]
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(4+len(sums)+len(data)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(header)))
	return append(append(append(b, header...), sums...), data...)
}
