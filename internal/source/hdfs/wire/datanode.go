// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import "google.golang.org/protobuf/encoding/protowire"

// The statuses of datanodes that a reader tells apart.
const (
	StatusSuccess     = 0
	StatusAccessToken = 5
	StatusChecksumOK  = 6
)

// ReadRequest returns an OpReadBlockProto.
func ReadRequest(block *Block, client string, offset, length int64) []byte {
	base := putBytes(nil, 1, block.ID)
	if block.Token != nil {
		base = putBytes(base, 2, block.Token)
	}
	header := putBytes(nil, 1, base)
	header = putString(header, 2, client)
	b := putBytes(nil, 1, header)
	b = putUint(b, 2, uint64(offset))
	return putUint(b, 3, uint64(length))
}

// compositeCRC asks for the CRC of a block's bytes, instead of a hash of those of its
// chunks.
const compositeCRC = 2

// ChecksumRequest returns an OpBlockChecksumProto.
func ChecksumRequest(block *Block) []byte {
	base := putBytes(nil, 1, block.ID)
	if block.Token != nil {
		base = putBytes(base, 2, block.Token)
	}
	return putBytes(putBytes(nil, 1, base), 2, putUint(nil, 1, compositeCRC))
}

// ChecksumResponse is a BlockOpResponseProto about the checksum of a block.
type ChecksumResponse struct {
	Status  uint64
	Message string
	// Kind of the checksum, and whether Sum is that of the block's bytes.
	Kind      uint64
	Composite bool
	Sum       []byte
}

// ParseChecksumResponse reads a BlockOpResponseProto.
func ParseChecksumResponse(b []byte) (r ChecksumResponse, err error) {
	err = walkFields(b, func(f field) error {
		switch f.n {
		case 1:
			r.Status = f.u
		case 3:
			return walkFields(f.b, r.parseField)
		case 5:
			r.Message = string(f.b)
		}
		return nil
	})
	return r, err
}

// parseField reads a field of an OpBlockChecksumResponseProto.
func (r *ChecksumResponse) parseField(f field) error {
	switch f.n {
	case 3:
		r.Sum = f.b
	case 4:
		r.Kind = f.u
	case 5:
		return walkFields(f.b, func(f field) error {
			r.Composite = r.Composite || f.n == 1 && f.u == compositeCRC
			return nil
		})
	}
	return nil
}

// ReadStatus returns a ClientReadStatusProto.
func ReadStatus(status uint64) []byte { return putUint(nil, 1, status) }

// The kinds of checksums.
const (
	ChecksumNone   = 0
	ChecksumCRC32  = 1
	ChecksumCRC32C = 2
)

// ReadResponse is a BlockOpResponseProto about a reading.
type ReadResponse struct {
	Status  uint64
	Message string
	// Checksum is the kind, Chunk the number of bytes that each is of.
	Checksum uint64
	Chunk    int64
	// Offset in the block of the first byte that follows.
	Offset int64
}

// ParseReadResponse reads a BlockOpResponseProto.
func ParseReadResponse(b []byte) (r ReadResponse, err error) {
	err = walkFields(b, func(f field) error {
		switch f.n {
		case 1:
			r.Status = f.u
		case 4:
			return walkFields(f.b, func(f field) (err error) {
				switch f.n {
				case 1:
					return walkFields(f.b, func(f field) (err error) {
						switch f.n {
						case 1:
							r.Checksum = f.u
						case 2:
							r.Chunk, err = f.sizeValue()
						}
						return err
					})
				case 2:
					r.Offset, err = f.sizeValue()
				}
				return err
			})
		case 5:
			r.Message = string(f.b)
		}
		return nil
	})
	return r, err
}

// PacketHeader is a PacketHeaderProto.
type PacketHeader struct {
	Offset int64
	Seq    int64
	Last   bool
	Length int32
}

// ParsePacketHeader reads a PacketHeaderProto.
func ParsePacketHeader(b []byte) (h PacketHeader, err error) {
	err = walkFields(b, func(f field) error {
		switch f.n {
		case 1:
			h.Offset = int64(f.u)
		case 2:
			h.Seq = int64(f.u)
		case 3:
			h.Last = protowire.DecodeBool(f.u)
		case 4:
			h.Length = int32(uint32(f.u))
		}
		return nil
	})
	return h, err
}

// Cipher is a CipherOptionProto: keys and initial vectors of AES in counter
// mode, "in" for what the datanode gets.
type Cipher struct {
	InKey, InIV, OutKey, OutIV []byte
}

// Handshake is a DataTransferEncryptorMessageProto.
type Handshake struct {
	Status  uint64
	Payload []byte
	Message string
	// OfferAES tells the datanode that the client can do AES.
	OfferAES bool
	// Cipher is what the datanode chose, or nil.
	Cipher *Cipher
}

const cipherAES = 2

// Marshal returns the message.
func (h Handshake) Marshal() []byte {
	b := putUint(nil, 1, h.Status)
	if h.Payload != nil {
		b = putBytes(b, 2, h.Payload)
	}
	if h.OfferAES {
		b = putBytes(b, 4, putUint(nil, 1, cipherAES))
	}
	return b
}

// ParseHandshake reads a DataTransferEncryptorMessageProto.
func ParseHandshake(b []byte) (h Handshake, err error) {
	err = walkFields(b, func(f field) error {
		switch f.n {
		case 1:
			h.Status = f.u
		case 2:
			h.Payload = f.b
		case 3:
			h.Message = string(f.b)
		case 4:
			c, suite := &Cipher{}, uint64(0)
			err := walkFields(f.b, func(f field) error {
				switch f.n {
				case 1:
					suite = f.u
				case 2:
					c.InKey = f.b
				case 3:
					c.InIV = f.b
				case 4:
					c.OutKey = f.b
				case 5:
					c.OutIV = f.b
				}
				return nil
			})
			if err == nil && suite == cipherAES {
				h.Cipher = c
			}
			return err
		}
		return nil
	})
	return h, err
}
