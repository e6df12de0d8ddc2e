// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// FileInfo is what the master says of a file or a directory.
type FileInfo struct {
	// Path in Alluxio, and that of the storage behind it, with its scheme.
	Path, UFSPath string
	Length        int64
	BlockSize     int64
	// Modified is when it was written last, in milliseconds.
	Modified  int64
	Mode      uint32
	Folder    bool
	Completed bool
	MountID   int64
	// Percent of it that workers hold.
	Percent int64
	// Fingerprint is what Alluxio remembers of the file in the storage behind it.
	Fingerprint string
	Blocks      []Block
}

// Block is one block of a file.
type Block struct {
	ID, Offset int64
	// Workers that hold it, host:port.
	Workers []string
}

// Size returns how many bytes a block of the file has.
func (f *FileInfo) Size(b Block) int64 { return min(f.BlockSize, f.Length-b.Offset) }

// ContentHash returns what the storage behind a file said of its bytes when Alluxio
// looked, such as an entity tag; "" where it said nothing.
func (f *FileInfo) ContentHash() string {
	for word := range strings.FieldsSeq(f.Fingerprint) {
		if hash, ok := strings.CutPrefix(word, "CONTENT_HASH|"); ok && hash != "_" {
			return hash
		}
	}
	return ""
}

// What a server may say of a file: the memory that a message takes must not be many times
// its length. The blocks are those of 8 TiB in blocks of 64 MiB; of workers beyond the number
// some are left out, which only costs a choice.
const (
	maxBlocks    = 1 << 17
	maxLocations = 1 << 17
)

// Footprint returns about how many bytes of memory it takes.
func (f *FileInfo) Footprint() int {
	const header, block, address = 256, 48, 16
	n := header + len(f.Path) + len(f.UFSPath) + len(f.Fingerprint)
	for i := range f.Blocks {
		n += block
		for _, worker := range f.Blocks[i].Workers {
			n += address + len(worker)
		}
	}
	return n
}

// Check returns an error unless the blocks are all of the file, one after the other.
func (f *FileInfo) Check() error {
	if f.Length < 0 || f.Length > 0 && f.BlockSize <= 0 {
		return fmt.Errorf("%w: %s has %d bytes in blocks of %d", errForm, f.Path, f.Length, f.BlockSize)
	}
	next := int64(0)
	for _, b := range f.Blocks {
		if b.Offset != next || next >= f.Length {
			return fmt.Errorf("%w: %s has a block at %d instead of %d", errForm, f.Path, b.Offset, next)
		}
		next += f.Size(b)
	}
	if next != f.Length {
		return fmt.Errorf("%w: the blocks of %s have %d bytes of its %d", errForm, f.Path, next, f.Length)
	}
	return nil
}

// The numbers of FileInfo's fields.
const (
	infoPath        = 3
	infoUFSPath     = 4
	infoLength      = 5
	infoBlockSize   = 6
	infoCompleted   = 8
	infoFolder      = 9
	infoModified    = 14
	infoMode        = 18
	infoBlocks      = 21
	infoMount       = 23
	infoPercent     = 24
	infoFingerprint = 26
)

func parseInfo(message []byte) (f FileInfo, err error) {
	locations := maxLocations
	err = visitFields(message, func(n protowire.Number, v uint64, b []byte) error {
		switch n {
		case infoPath:
			f.Path = string(b)
		case infoUFSPath:
			f.UFSPath = string(b)
		case infoLength:
			f.Length = int64(v)
		case infoBlockSize:
			f.BlockSize = int64(v)
		case infoCompleted:
			f.Completed = v != 0
		case infoFolder:
			f.Folder = v != 0
		case infoModified:
			f.Modified = int64(v)
		case infoMode:
			f.Mode = uint32(v)
		case infoBlocks:
			block, err := parseFileBlock(b, locations)
			locations -= len(block.Workers)
			if err != nil || len(f.Blocks) == maxBlocks {
				return fmt.Errorf("%w: a block", errForm)
			}
			f.Blocks = append(f.Blocks, block)
		case infoMount:
			f.MountID = int64(v)
		case infoPercent:
			f.Percent = int64(v)
		case infoFingerprint:
			f.Fingerprint = string(b)
		}
		return nil
	})
	return f, err
}

// parseFileBlock reads a FileBlockInfo: a BlockInfo and its offset. Of the workers it takes
// so many at most.
func parseFileBlock(message []byte, locations int) (k Block, err error) {
	err = visitFields(message, func(n protowire.Number, v uint64, b []byte) error {
		switch n {
		case 1:
			return visitFields(b, func(n protowire.Number, v uint64, b []byte) error {
				switch n {
				case 1:
					k.ID = int64(v)
				case 3: // a BlockLocation
					return visitFields(b, func(n protowire.Number, _ uint64, b []byte) error {
						if n != 2 || len(k.Workers) >= locations {
							return nil
						}
						address, err := parseAddress(b)
						k.Workers = append(k.Workers, address)
						return err
					})
				}
				return nil
			})
		case 2:
			k.Offset = int64(v)
		}
		return nil
	})
	return k, err
}

// parseAddress reads a WorkerNetAddress.
func parseAddress(message []byte) (string, error) {
	var host string
	var port uint64
	err := visitFields(message, func(n protowire.Number, v uint64, b []byte) error {
		switch n {
		case 1:
			host = string(b)
		case 3: // of data
			port = v
		}
		return nil
	})
	return net.JoinHostPort(host, strconv.FormatUint(port, 10)), err
}
