// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Chunk is a ReadResponse that is sent and received through memory of the
// caller's: the generated type would allocate each message's content.
type Chunk struct {
	// Offset of the content in the file.
	Offset int64
	// Data is the content to send.
	Data []byte

	// Into takes the content that is received: Len bytes of it, and what has no
	// room there is in Rest until the next message.
	Into []byte
	Len  int
	Rest []byte
}

// The numbers of ReadResponse's fields.
const (
	fieldData   = 1
	fieldOffset = 2
)

// Codec is the binary encoding of protobuf, and knows Chunk. Both ends of the
// protocol use it with connect.WithCodec.
type Codec struct{}

// Name is that of connect's own codec, which this one replaces.
func (Codec) Name() string { return "proto" }

// Marshal encodes a message.
func (c Codec) Marshal(message any) ([]byte, error) { return c.MarshalAppend(nil, message) }

// MarshalAppend appends a message's encoding to dst; connect gives it memory
// that it uses again.
func (Codec) MarshalAppend(dst []byte, message any) ([]byte, error) {
	switch m := message.(type) {
	case *Chunk:
		dst = slices.Grow(dst, len(m.Data)+32)
		dst = protowire.AppendTag(dst, fieldData, protowire.BytesType)
		dst = protowire.AppendBytes(dst, m.Data)
		dst = protowire.AppendTag(dst, fieldOffset, protowire.VarintType)
		return protowire.AppendVarint(dst, uint64(m.Offset)), nil
	case proto.Message:
		return proto.MarshalOptions{}.MarshalAppend(dst, m)
	}
	return nil, fmt.Errorf("encoding a %T, which is no message", message)
}

// Unmarshal decodes a message. It keeps nothing of data.
func (Codec) Unmarshal(data []byte, message any) error {
	switch m := message.(type) {
	case *Chunk:
		return m.decodeMessage(data)
	case proto.Message:
		return proto.Unmarshal(data, m)
	}
	return fmt.Errorf("decoding a %T, which is no message", message)
}

func (c *Chunk) decodeMessage(data []byte) error {
	var content []byte
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		switch {
		case number == fieldData && kind == protowire.BytesType:
			content, n = protowire.ConsumeBytes(data)
		case number == fieldOffset && kind == protowire.VarintType:
			var v uint64
			v, n = protowire.ConsumeVarint(data)
			c.Offset = int64(v)
		case number == fieldData || number == fieldOffset:
			return errors.New("decoding file content: a field has another type")
		default: // a field of a later revision
			n = protowire.ConsumeFieldValue(number, kind, data)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
	}
	c.Len = copy(c.Into, content)
	c.Rest = append(c.Rest[:0], content[c.Len:]...)
	return nil
}
