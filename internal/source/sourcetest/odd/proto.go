// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package odd

import "google.golang.org/protobuf/encoding/protowire"

// message is a protocol buffer that is being written. Hadoop's messages are
// written by hand here, as their readers in package wire read them.
type message []byte

func (m message) uint(n protowire.Number, u uint64) message {
	return protowire.AppendVarint(protowire.AppendTag(m, n, protowire.VarintType), u)
}

func (m message) bool(n protowire.Number, b bool) message {
	return m.uint(n, protowire.EncodeBool(b))
}

func (m message) bytes(n protowire.Number, b []byte) message {
	return protowire.AppendBytes(protowire.AppendTag(m, n, protowire.BytesType), b)
}

func (m message) text(n protowire.Number, s string) message { return m.bytes(n, []byte(s)) }

func (m message) fixed64(n protowire.Number, u uint64) message {
	return protowire.AppendFixed64(protowire.AppendTag(m, n, protowire.Fixed64Type), u)
}

func (m message) fixed32(n protowire.Number, u uint32) message {
	return protowire.AppendFixed32(protowire.AppendTag(m, n, protowire.Fixed32Type), u)
}

// fields are the last values of the fields of a message that was received.
type fields struct {
	numbers map[protowire.Number]uint64
	bodies  map[protowire.Number][]byte
}

func parseFields(b []byte) fields {
	f := fields{map[protowire.Number]uint64{}, map[protowire.Number][]byte{}}
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return f
		}
		b = b[n:]
		switch kind {
		case protowire.VarintType:
			f.numbers[number], n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			f.bodies[number], n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return f
		}
		b = b[n:]
	}
	return f
}
