// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
)

// block is a LocatedBlockProto.
func block(offset, length uint64) []byte {
	id := putString(nil, 1, "BP-1")
	id = putUint(id, 2, 7)
	id = putUint(id, 3, 1001)
	id = putUint(id, 4, length)
	datanode := putString(nil, 1, "10.0.0.1")
	datanode = putString(datanode, 2, "dn1")
	datanode = putUint(datanode, 4, 9866)
	info := putBytes(nil, 1, datanode)
	info = putString(info, 8, "/rack")
	token := putBytes(nil, 1, []byte("id"))
	token = putBytes(token, 2, []byte("password"))
	b := putBytes(nil, 1, id)
	b = putUint(b, 2, offset)
	b = putBytes(b, 3, info)
	b = putUint(b, 4, 0)
	b = putBytes(b, 5, token)
	return putBytes(b, 99, []byte("of a newer namenode"))
}

func locations(blocks ...[]byte) []byte {
	l := putUint(nil, 1, 30)
	for _, b := range blocks {
		l = putBytes(l, 2, b)
	}
	return putBytes(nil, 1, putUint(l, 3, 0))
}

func TestLocationsLoseNothing(t *testing.T) {
	got, err := ParseLocations(locations(block(0, 10), block(10, 20)))
	if err != nil {
		t.Fatal(err)
	}
	got.Blocks[0].ID, got.Blocks[0].Token = nil, nil
	want := Block{Offset: 0, Length: 10, TokenID: []byte("id"), TokenPassword: []byte("password"),
		Nodes: []Datanode{{"10.0.0.1:9866", "/rack"}}}
	if diff := cmp.Diff(want, got.Blocks[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Length != 30 || len(got.Blocks) != 2 || got.Blocks[1].Offset != 10 {
		t.Errorf("got %+v", got)
	}
}

func TestBlocksWithAGapAreRefused(t *testing.T) {
	for name, message := range map[string][]byte{
		"a gap": locations(block(0, 10), block(11, 20)), "not from the start": locations(block(1, 10)),
		"overlapping":   locations(block(0, 10), block(9, 20)),
		"no identifier": locations(putUint(nil, 2, 0)), "a length beyond all measure": locations(block(0, 1<<63)),
	} {
		if l, err := ParseLocations(message); err == nil {
			t.Errorf("%s: got %+v", name, l)
		}
	}
}

func TestMissingStatusIsNotAnEmptyFile(t *testing.T) {
	if s, err := ParseFileStatus(nil); s != nil || err != nil {
		t.Errorf("got %v, %v", s, err)
	}
	if s, err := ParseFileStatus(putBytes(nil, 1, nil)); err == nil {
		t.Errorf("a status without a type: got %v", s)
	}
}

func TestNegativeCallsKeepTheirSign(t *testing.T) {
	h, err := ParseResponseHeader(putUint(nil, 1, uint64(uint32(0xffffffdf))))
	if err != nil || h.Call != CallSASL {
		t.Errorf("got %d, %v", h.Call, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(locations(block(0, 10), block(10, 20)))
	f.Add(putBytes(nil, 1, putUint(putBytes(nil, 2, []byte("name")), 1, 2)))
	f.Add(protowire.AppendTag(nil, 1, protowire.StartGroupType))
	f.Fuzz(func(t *testing.T, message []byte) {
		if l, err := ParseLocations(message); err == nil && l != nil {
			end := int64(0)
			for _, b := range l.Blocks {
				if b.Offset != end || b.Length < 0 || b.ID == nil {
					t.Fatalf("got %+v", l)
				}
				end += b.Length
			}
		}
		if s, err := ParseFileStatus(message); err == nil && s != nil && (s.Length < 0 || s.Type == 0) {
			t.Fatalf("got %+v", s)
		}
		if l, err := ParseListing(message); err == nil && l != nil {
			for _, s := range l.Entries {
				if s.Length < 0 || s.Type == 0 {
					t.Fatalf("got %+v", s)
				}
			}
		}
		_, _ = ParseReadResponse(message)
		_, _ = ParsePacketHeader(message)
		_, _ = ParseHandshake(message)
		_, _ = ParseSASL(message)
		_, _ = ParseResponseHeader(message)
		_, _ = ParseEncryptionKey(message)
		_, _ = ParseEncryptTransfers(message)
	})
}
