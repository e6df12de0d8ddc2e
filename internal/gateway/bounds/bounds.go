// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package bounds

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

var (
	// ErrTooMuch is wrapped by errors about messages that hold more than they may.
	ErrTooMuch = errors.New("the message holds too much")
	// ErrMalformed is wrapped by errors about bytes that are no message.
	ErrMalformed = errors.New("the message is malformed")
)

const (
	// maxUnknown is how many fields of a message this version may not know. A
	// newer runtime sends a few.
	maxUnknown = 64
	// maxUnknownLength is the longest of them, in bytes.
	maxUnknownLength = 64 << 10
	// maxText is the length of a text that has no limit of its own, in bytes. It is
	// above the longest name in the API (253).
	maxText = 512
)

// Limit is what one field may hold.
type Limit struct {
	// Count is how often a repeated field may occur.
	Count int
	// Length is the longest text, in bytes.
	Length int
}

// Table has the limits of fields by their full name. A repeated field without a
// limit is refused; texts have a default.
type Table map[protoreflect.FullName]Limit

// Check walks a message on the wire. Errors name the field and its limit.
func (t Table) Check(message protoreflect.MessageDescriptor, data []byte) error {
	fields := message.Fields()
	// No message of the protocol has a field with a greater number; the walk
	// allocates nothing.
	var counts [32]int
	unknown := 0
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return malformedError(message, protowire.ParseError(n))
		}
		data = data[n:]
		field := fields.ByNumber(number)
		if field == nil || int(number) >= len(counts) || !matchesKind(field, kind) {
			if unknown++; unknown > maxUnknown {
				return fmt.Errorf("%w: %s has more than %d unknown fields", ErrTooMuch, message.Name(), maxUnknown)
			}
			if n, data = skipValue(number, kind, data); n < 0 {
				return malformedError(message, protowire.ParseError(n))
			}
			if n > maxUnknownLength {
				return fmt.Errorf("%w: field %d of %s is longer than %d bytes", ErrTooMuch, number, message.Name(), maxUnknownLength)
			}
			continue
		}
		counts[number]++
		if most := t.maxCount(field); counts[number] > most {
			return fmt.Errorf("%w: %s.%s occurs more than %d times", ErrTooMuch, message.Name(), field.Name(), most)
		}
		if kind != protowire.BytesType {
			if n, data = skipValue(number, kind, data); n < 0 {
				return malformedError(message, protowire.ParseError(n))
			}
			continue
		}
		value, n := protowire.ConsumeBytes(data)
		if n < 0 {
			return malformedError(message, protowire.ParseError(n))
		}
		data = data[n:]
		if err := t.checkValue(field, value); err != nil {
			return err
		}
	}
	return nil
}

// checkValue checks what has a length: a text or a message.
func (t Table) checkValue(field protoreflect.FieldDescriptor, value []byte) error {
	if nested := field.Message(); nested != nil {
		return t.Check(nested, value)
	}
	longest := t[field.FullName()].Length
	if longest == 0 {
		longest = maxText
	}
	if len(value) > longest {
		return fmt.Errorf("%w: %s has %d bytes, at most %d are allowed", ErrTooMuch, field.FullName().Name(), len(value), longest)
	}
	return nil
}

func (t Table) maxCount(field protoreflect.FieldDescriptor) int {
	if field.Cardinality() == protoreflect.Repeated {
		return t[field.FullName()].Count
	}
	return 1
}

// matchesKind reports whether the kind on the wire is the field's. Fields of another
// kind are unknown ones to the decoder too; a packed list, which the protocol does
// not have, is counted as one.
func matchesKind(field protoreflect.FieldDescriptor, kind protowire.Type) bool {
	switch field.Kind() {
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return kind == protowire.BytesType
	case protoreflect.BoolKind, protoreflect.EnumKind, protoreflect.Int32Kind, protoreflect.Int64Kind, protoreflect.Uint32Kind,
		protoreflect.Uint64Kind:
		return kind == protowire.VarintType && field.Cardinality() != protoreflect.Repeated
	default:
		return false
	}
}

// skipValue passes over a value and returns its length, negative when it is malformed.
// Groups are refused: proto3 has none, and they nest without a length.
func skipValue(number protowire.Number, kind protowire.Type, data []byte) (int, []byte) {
	if kind == protowire.StartGroupType || kind == protowire.EndGroupType {
		return errGroup, data
	}
	n := protowire.ConsumeFieldValue(number, kind, data)
	if n < 0 {
		return n, data
	}
	return n, data[n:]
}

// errGroup is protowire's code for a reserved wire type.
const errGroup = -4

func malformedError(message protoreflect.MessageDescriptor, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrMalformed, message.Name(), err)
}
