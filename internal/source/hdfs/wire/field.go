// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

var errIncomplete = errors.New("a field is missing")

// field is one field of a message: number n has the value u, or b.
type field struct {
	n protowire.Number
	u uint64
	b []byte
}

// walkFields calls visit for each field of a message.
func walkFields(message []byte, visit func(field) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		f := field{n: number}
		switch kind {
		case protowire.VarintType:
			f.u, n = protowire.ConsumeVarint(message)
		case protowire.Fixed64Type:
			f.u, n = protowire.ConsumeFixed64(message)
		case protowire.Fixed32Type:
			var u uint32
			u, n = protowire.ConsumeFixed32(message)
			f.u = uint64(u)
		case protowire.BytesType:
			f.b, n = protowire.ConsumeBytes(message)
		default:
			n = protowire.ConsumeFieldValue(number, kind, message)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		if err := visit(f); err != nil {
			return fmt.Errorf("field %d: %w", number, err)
		}
	}
	return nil
}

// sizeValue is a length or an offset, which no file system has beyond an int64.
func (f field) sizeValue() (int64, error) {
	if f.u > 1<<62 {
		return 0, fmt.Errorf("%d is no length", f.u)
	}
	return int64(f.u), nil
}

func putUint(b []byte, n protowire.Number, u uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), u)
}

func putInt(b []byte, n protowire.Number, i int64) []byte {
	return putUint(b, n, protowire.EncodeZigZag(i))
}

func putBytes(b []byte, n protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), v)
}

func putString(b []byte, n protowire.Number, v string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, n, protowire.BytesType), v)
}

// Delimited appends a message with its length in front.
func Delimited(b, message []byte) []byte { return protowire.AppendBytes(b, message) }

// CutDelimited splits what Delimited appended from what follows.
func CutDelimited(b []byte) (message, rest []byte, err error) {
	message, n := protowire.ConsumeBytes(b)
	if n < 0 {
		return nil, nil, protowire.ParseError(n)
	}
	return message, b[n:], nil
}
