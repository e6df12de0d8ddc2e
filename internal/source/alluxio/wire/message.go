// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Message is an encoded message. Its methods return it with one more field.
type Message []byte

// Text adds a string.
func (m Message) Text(n protowire.Number, s string) Message {
	return protowire.AppendString(protowire.AppendTag(m, n, protowire.BytesType), s)
}

// Nested adds a message.
func (m Message) Nested(n protowire.Number, inner Message) Message {
	return protowire.AppendBytes(protowire.AppendTag(m, n, protowire.BytesType), inner)
}

// Number adds an integer.
func (m Message) Number(n protowire.Number, v int64) Message {
	return protowire.AppendVarint(protowire.AppendTag(m, n, protowire.VarintType), uint64(v))
}

// Flag adds a bool.
func (m Message) Flag(n protowire.Number, v bool) Message {
	return m.Number(n, int64(protowire.EncodeBool(v)))
}

// errForm is the error of a message that is none.
var errForm = errors.New("the message of the server cannot be read")

// visitFields calls visit with each field that is a number (v) or has a length (b), and
// passes over others.
func visitFields(message []byte, visit func(n protowire.Number, v uint64, b []byte) error) error {
	for len(message) > 0 {
		n, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			return fmt.Errorf("%w: %w", errForm, protowire.ParseError(size))
		}
		message = message[size:]
		var v uint64
		var b []byte
		switch kind {
		case protowire.VarintType:
			v, size = protowire.ConsumeVarint(message)
		case protowire.BytesType:
			b, size = protowire.ConsumeBytes(message)
		default:
			size = protowire.ConsumeFieldValue(n, kind, message)
		}
		if size < 0 {
			return fmt.Errorf("%w: %w", errForm, protowire.ParseError(size))
		}
		message = message[size:]
		if kind == protowire.VarintType || kind == protowire.BytesType {
			if err := visit(n, v, b); err != nil {
				return err
			}
		}
	}
	return nil
}
