// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package block

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"testing/iotest"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/kuda-io/kuda/internal/source/hdfs/wire"
)

// sender plays a datanode that sends a block in packets.
type sender struct {
	content []byte
	chunk   int
	packet  int // bytes of data in each
	spoil   func(packets []byte) []byte
}

func packet(offset, seq int64, last bool, data, sums []byte) []byte {
	h := protowire.AppendFixed64(protowire.AppendTag(nil, 1, protowire.Fixed64Type), uint64(offset))
	h = protowire.AppendFixed64(protowire.AppendTag(h, 2, protowire.Fixed64Type), uint64(seq))
	h = protowire.AppendVarint(protowire.AppendTag(h, 3, protowire.VarintType), protowire.EncodeBool(last))
	h = protowire.AppendFixed32(protowire.AppendTag(h, 4, protowire.Fixed32Type), uint32(len(data)))
	b := binary.BigEndian.AppendUint32(nil, uint32(4+len(sums)+len(data)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(h)))
	return append(append(append(b, h...), sums...), data...)
}

// answer is what follows a request for a range.
func (s sender) answer(offset, length int64) []byte {
	chunk := int64(s.chunk)
	from, to := offset/chunk*chunk, min((offset+length+chunk-1)/chunk*chunk, int64(len(s.content)))
	checksum := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), wire.ChecksumCRC32C)
	checksum = protowire.AppendVarint(protowire.AppendTag(checksum, 2, protowire.VarintType), uint64(chunk))
	info := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), checksum)
	info = protowire.AppendVarint(protowire.AppendTag(info, 2, protowire.VarintType), uint64(from))
	response := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), wire.StatusSuccess)
	response = protowire.AppendBytes(protowire.AppendTag(response, 4, protowire.BytesType), info)
	var packets []byte
	seq := int64(0)
	for at := from; at < to; at += int64(s.packet) {
		data := s.content[at:min(at+int64(s.packet), to)]
		var sums []byte
		for rest := data; len(rest) > 0; {
			n := min(s.chunk, len(rest))
			sums = binary.BigEndian.AppendUint32(sums, crc32.Checksum(rest[:n], castagnoli))
			rest = rest[n:]
		}
		packets = append(packets, packet(at, seq, false, data, sums)...)
		seq++
	}
	packets = append(packets, packet(to, seq, true, nil, nil)...)
	if s.spoil != nil {
		packets = s.spoil(packets)
	}
	return append(wire.Delimited(nil, response), packets...)
}

// dial returns a connection to a datanode that answers every request for the
// range, and then ends.
func (s sender) dial(t testing.TB, offset, length int64, wrap func(io.Reader) io.Reader) *Conn {
	t.Helper()
	client, server := net.Pipe()
	t.Cleanup(func() { client.Close() })
	go func() {
		defer server.Close()
		request := make([]byte, 4096)
		if _, err := server.Read(request); err != nil {
			return
		}
		if _, err := server.Write(s.answer(offset, length)); err != nil {
			return
		}
		if s.spoil == nil {
			_, _ = server.Read(request) // the status
		}
	}()
	c, err := NewConn(t.Context(), client, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if wrap != nil {
		c.in.Reset(wrap(client))
	}
	return c
}

func read(c *Conn, offset, length int64) ([]byte, error) {
	s, err := c.Open(&wire.Block{ID: []byte{}}, "test", offset, length)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(s)
	if err != nil {
		return got, err
	}
	return got, s.Finish()
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(b)
	return b
}

func TestRangesAreExact(t *testing.T) {
	content := random(700_123)
	for _, s := range []sender{{chunk: 512, packet: 64 << 10}, {chunk: 512, packet: 1 << 20}, {chunk: 4096, packet: 4096},
		{chunk: 512 << 10, packet: 1 << 20}} {
		s.content = content
		for _, r := range [][2]int64{{0, 700_123}, {0, 1}, {511, 2}, {512, 512}, {700_122, 1}, {65_535, 65_537}, {1000, 699_000}} {
			got, err := read(s.dial(t, r[0], r[1], nil), r[0], r[1])
			if err != nil || !bytes.Equal(got, content[r[0]:r[0]+r[1]]) {
				t.Errorf("chunks of %d, packets of %d, range %v: %d bytes, %v", s.chunk, s.packet, r, len(got), err)
			}
		}
	}
}

func TestBytesThatTrickleAreTheSame(t *testing.T) {
	s := sender{content: random(10_000), chunk: 512, packet: 3 * 512}
	got, err := read(s.dial(t, 100, 9_000, iotest.OneByteReader), 100, 9_000)
	if err != nil || !bytes.Equal(got, s.content[100:9_100]) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestNoWrongByteIsHandedOut(t *testing.T) {
	content := random(100_000)
	clean := sender{content: content, chunk: 512, packet: 16 << 10}
	size := len(clean.answer(0, int64(len(content))))
	for at := 0; at < size-100; at += 997 {
		s := clean
		s.spoil = func(packets []byte) []byte {
			if at < len(packets) {
				packets[at] ^= 0x10
			}
			return packets
		}
		got, err := read(s.dial(t, 0, int64(len(content)), nil), 0, int64(len(content)))
		if !bytes.HasPrefix(content, got) {
			t.Fatalf("a bit of byte %d: wrong bytes", at)
		}
		if err == nil && !bytes.Equal(got, content) {
			t.Fatalf("a bit of byte %d: %d bytes and no error", at, len(got))
		}
	}
}

func TestAnEarlyEndIsAnError(t *testing.T) {
	content := random(100_000)
	for _, cut := range []int{0, 3, 40, 5000, 50_000, 99_000} {
		s := sender{content: content, chunk: 512, packet: 16 << 10, spoil: func(packets []byte) []byte { return packets[:cut] }}
		got, err := read(s.dial(t, 0, 100_000, nil), 0, 100_000)
		if !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.HasPrefix(content, got) {
			t.Errorf("after %d bytes: %d bytes, %v", cut, len(got), err)
		}
	}
	// A last packet that comes too early.
	s := sender{content: content, chunk: 512, packet: 16 << 10, spoil: func([]byte) []byte { return packet(0, 0, true, nil, nil) }}
	if got, err := read(s.dial(t, 0, 100_000, nil), 0, 100_000); err == nil {
		t.Errorf("%d bytes and no error", len(got))
	}
}

func TestConnectionsAreKeptOnlyAfterTheLastByte(t *testing.T) {
	s := sender{content: random(10_000), chunk: 512, packet: 1024}
	stream, err := s.dial(t, 0, 10_000, nil).Open(&wire.Block{ID: []byte{}}, "test", 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	if stream.Finish() == nil {
		t.Error("a connection in the middle of a block counts as free")
	}
}

func FuzzStreamHandsOutVerifiedBytesOnly(f *testing.F) {
	content := random(5000)
	clean := sender{content: content, chunk: 512, packet: 2048}
	answer := clean.answer(0, 5000)
	f.Add(answer)
	f.Add(answer[:len(answer)/2])
	f.Fuzz(func(t *testing.T, answer []byte) {
		client, server := net.Pipe()
		defer client.Close()
		go func() {
			defer server.Close()
			request := make([]byte, 4096)
			if _, err := server.Read(request); err == nil {
				_, _ = server.Write(answer)
			}
		}()
		c, err := NewConn(t.Context(), client, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		s, err := c.Open(&wire.Block{ID: []byte{}}, "test", 0, 5000)
		if err != nil {
			return
		}
		if got, err := io.ReadAll(s); err == nil && len(got) != 5000 {
			t.Errorf("%d bytes instead of 5000 and no error", len(got))
		}
	})
}
