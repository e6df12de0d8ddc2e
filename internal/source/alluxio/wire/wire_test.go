// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fileMessage is a FileInfo of two blocks as a master sends it.
func fileMessage() Message {
	address := Message{}.Text(1, "worker").Number(2, 1).Number(3, 29999)
	block := func(id, offset int64) Message {
		return Message{}.Nested(1, Message{}.Number(1, id).Number(2, 4).Nested(3, Message{}.Nested(2, address))).Number(2, offset)
	}
	return Message{}.Text(3, "/a/b").Text(4, "s3://models/a/b").Number(5, 7).Number(6, 4).Flag(8, true).Number(14, 1700).Number(18, 0o644).
		Nested(21, block(11, 0)).Nested(21, block(12, 4)).Number(23, 1).Number(24, 100).
		Text(26, "TYPE|FILE UFS|s3 OWNER|o GROUP|g MODE|448 CONTENT_HASH|0123")
}

func TestFilesAreReadAsAMasterSendsThem(t *testing.T) {
	got, err := ParseStatus(Message{}.Nested(1, fileMessage()))
	if err != nil {
		t.Fatal(err)
	}
	want := FileInfo{Path: "/a/b", UFSPath: "s3://models/a/b", Length: 7, BlockSize: 4, Modified: 1700, Mode: 0o644, Completed: true,
		MountID: 1, Percent: 100, Fingerprint: got.Fingerprint,
		Blocks: []Block{{ID: 11, Workers: []string{"worker:29999"}}, {ID: 12, Offset: 4, Workers: []string{"worker:29999"}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.ContentHash() != "0123" || got.Check() != nil || got.Size(got.Blocks[1]) != 3 {
		t.Errorf("hash %q, %v, %d bytes in the last block", got.ContentHash(), got.Check(), got.Size(got.Blocks[1]))
	}
}

func TestBlocksThatAreNotAllOfAFileAreRefused(t *testing.T) {
	for name, f := range map[string]FileInfo{
		"a gap":         {Length: 8, BlockSize: 4, Blocks: []Block{{Offset: 0}, {Offset: 5}}},
		"too few":       {Length: 9, BlockSize: 4, Blocks: []Block{{Offset: 0}, {Offset: 4}}},
		"too many":      {Length: 4, BlockSize: 4, Blocks: []Block{{Offset: 0}, {Offset: 4}}},
		"no size":       {Length: 4, Blocks: []Block{{Offset: 0}}},
		"below zero":    {Length: -1, BlockSize: 4},
		"a size of -4":  {Length: 4, BlockSize: -4, Blocks: []Block{{Offset: 0}}},
		"without block": {Length: 4, BlockSize: 4},
	} {
		if f.Check() == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := (&FileInfo{}).Check(); err != nil {
		t.Errorf("an empty file: %v", err)
	}
}

func TestContentThatHasNoRoomIsKept(t *testing.T) {
	message := Message{}.Nested(1, Message{}.Text(1, "abcdef"))
	c := Chunk{Into: make([]byte, 4)}
	if err := (Codec{}).Unmarshal(message, &c); err != nil {
		t.Fatal(err)
	}
	if string(c.Into[:c.Len]) != "abcd" || string(c.Rest) != "ef" {
		t.Errorf("got %q and %q", c.Into[:c.Len], c.Rest)
	}
}

func TestMemoryOfAMessageIsBoundedWhateverAServerSays(t *testing.T) {
	address := Message{}.Text(1, "w").Number(3, 1)
	location := Message{}.Nested(3, Message{}.Nested(2, address))
	one := Message{}.Nested(21, Message{}.Nested(1, location))
	if _, err := ParseStatus(Message{}.Nested(1, bytes.Repeat(one, maxBlocks+1))); err == nil {
		t.Error("any number of blocks is taken")
	}
	many := Message{}.Nested(21, Message{}.Nested(1, bytes.Repeat(location, maxLocations+9)))
	f, err := ParseStatus(Message{}.Nested(1, append(many, one...)))
	if err != nil || len(f.Blocks) != 2 || len(f.Blocks[0].Workers) != maxLocations || len(f.Blocks[1].Workers) != 0 {
		t.Errorf("%d blocks, %v", len(f.Blocks), err)
	}
	if f.Footprint() < maxLocations*len("w:1") {
		t.Errorf("it is said to take %d bytes", f.Footprint())
	}
	worker := Message{}.Nested(1, Message{}.Nested(2, address))
	if _, err := ParseWorkers(bytes.Repeat(worker, maxWorkers+1)); err == nil {
		t.Error("any number of workers is taken")
	}
}

func FuzzMessagesOfAnyServerAreReadOrRefused(f *testing.F) {
	f.Add([]byte(Message{}.Nested(1, fileMessage())))
	f.Add([]byte{0x0a, 0xff})
	f.Fuzz(func(t *testing.T, message []byte) {
		if info, err := ParseStatus(message); err == nil && info.Check() == nil && info.Length > 0 && len(info.Blocks) == 0 {
			t.Error("a file without blocks passed")
		}
		_, _ = ParseList(message)
		_, _ = ParseWorkers(message)
		_, _ = ParseSignIn(message)
		c := Chunk{Into: make([]byte, 3)}
		if err := (Codec{}).Unmarshal(bytes.Clone(message), &c); err == nil && c.Len > 3 {
			t.Errorf("%d bytes in 3", c.Len)
		}
	})
}
