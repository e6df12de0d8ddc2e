// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"net"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// Locations is a LocatedBlocksProto: where the bytes of a file are.
type Locations struct {
	Length int64
	Blocks []Block
	// Open tells that the file is still being written.
	Open bool
	// Encrypted tells that the file lies in an encryption zone.
	Encrypted bool
	// Striped tells that the file is erasure coded.
	Striped bool
}

// Block is a LocatedBlockProto.
type Block struct {
	// Offset of the block's first byte in the file.
	Offset int64
	// Length in bytes.
	Length int64
	// ID names the block to datanodes: an ExtendedBlockProto.
	ID []byte
	// Token is the permission to read it: a TokenProto, with the two parts of it
	// that authenticate.
	Token                  []byte
	TokenID, TokenPassword []byte
	Nodes                  []Datanode
	// Corrupt tells that every replica is.
	Corrupt bool
}

// Datanode is a DatanodeInfoProto.
type Datanode struct {
	// Address of the data transfer, ip:port.
	Address string
	// Rack is its place in the network.
	Rack string
}

// ParseLocations reads a GetBlockLocationsResponseProto; nil means that there is
// no such file.
func ParseLocations(b []byte) (l *Locations, err error) {
	err = walkFields(b, func(f field) error {
		if f.n != 1 {
			return nil
		}
		l = &Locations{}
		return walkFields(f.b, l.parseField)
	})
	if err != nil || l == nil {
		return nil, err
	}
	// Readers rely on blocks that follow each other.
	end := int64(0)
	for _, block := range l.Blocks {
		if block.Offset != end {
			return nil, errors.New("the blocks have a gap")
		}
		end += block.Length
	}
	return l, nil
}

func (l *Locations) parseField(f field) (err error) {
	switch f.n {
	case 1:
		l.Length, err = f.sizeValue()
	case 2:
		var block Block
		if err = walkFields(f.b, block.parseField); err != nil {
			return err
		}
		if block.ID == nil {
			return errIncomplete
		}
		l.Blocks = append(l.Blocks, block)
	case 3:
		l.Open = protowire.DecodeBool(f.u)
	case 6:
		l.Encrypted = true
	case 7:
		l.Striped = true
	}
	return err
}

func (b *Block) parseField(f field) (err error) {
	switch f.n {
	case 1:
		b.ID = f.b
		return walkFields(f.b, func(f field) (err error) {
			if f.n == 4 {
				b.Length, err = f.sizeValue()
			}
			return err
		})
	case 2:
		b.Offset, err = f.sizeValue()
	case 3:
		var d Datanode
		if d, err = parseDatanode(f.b); err == nil {
			b.Nodes = append(b.Nodes, d)
		}
	case 4:
		b.Corrupt = protowire.DecodeBool(f.u)
	case 5:
		b.Token = f.b
		return walkFields(f.b, func(f field) error {
			switch f.n {
			case 1:
				b.TokenID = f.b
			case 2:
				b.TokenPassword = f.b
			}
			return nil
		})
	}
	return err
}

func parseDatanode(b []byte) (d Datanode, err error) {
	err = walkFields(b, func(f field) error {
		switch f.n {
		case 1:
			var ip string
			var port uint64
			err := walkFields(f.b, func(f field) error {
				switch f.n {
				case 1:
					ip = string(f.b)
				case 4:
					port = f.u
				}
				return nil
			})
			d.Address = net.JoinHostPort(ip, strconv.FormatUint(port, 10))
			return err
		case 8:
			d.Rack = string(f.b)
		}
		return nil
	})
	if err == nil && d.Address == "" {
		err = errIncomplete
	}
	return d, err
}
