// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package jsonspan

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

var (
	errNotJSON = errors.New("the text is not JSON")
	// An API server writes each name once, without escape sequences. Decoders differ
	// in what they make of others.
	errName = errors.New("the names of an object are not written as an API server writes them")
)

// Span is where a value is in a text: text[Start:End].
type Span struct{ Start, End int }

// Of returns the value. It shares the text's memory, but cannot grow into it.
func (s Span) Of(text []byte) []byte { return text[s.Start:s.End:s.End] }

// Members returns where the values of these members of a JSON object are, in the
// order of the names; the zero Span where the object has no such member. As in
// encoding/json, names match without regard to case. The text null has no members.
// It returns an error if the text is not an object, or has one of the names twice or
// any name with an escape sequence.
func Members(object []byte, names ...string) ([]Span, error) {
	spans := make([]Span, len(names))
	at := skipSpace(object, 0)
	if bytes.Equal(bytes.TrimSpace(object), []byte("null")) {
		return spans, nil
	}
	if at == len(object) || object[at] != '{' {
		return nil, errNotJSON
	}
	for at = skipSpace(object, at+1); at < len(object); at = skipSpace(object, at+1) {
		if object[at] == '}' {
			return spans, checkEnd(object, at+1)
		}
		name, value, err := readMember(object, at)
		if err != nil {
			return nil, err
		}
		for i := range names {
			if !strings.EqualFold(name, names[i]) {
				continue
			}
			if spans[i] != (Span{}) {
				return nil, fmt.Errorf("%w: %q is there twice", errName, names[i])
			}
			spans[i] = value
		}
		at = skipSpace(object, value.End)
		if at == len(object) {
			return nil, errNotJSON
		}
		switch object[at] {
		case ',':
		case '}':
			return spans, checkEnd(object, at+1)
		default:
			return nil, errNotJSON
		}
	}
	return nil, errNotJSON
}

// Len returns how many elements a JSON list has; 0 for null and for no text.
func Len(list []byte) (int, error) {
	list = bytes.TrimSpace(list)
	if len(list) == 0 || bytes.Equal(list, []byte("null")) {
		return 0, nil
	}
	if list[0] != '[' {
		return 0, errNotJSON
	}
	at := skipSpace(list, 1)
	if at < len(list) && list[at] == ']' {
		return 0, checkEnd(list, at+1)
	}
	for n := 1; ; n++ {
		end, ok := valueEnd(list, at)
		if !ok {
			return 0, errNotJSON
		}
		at = skipSpace(list, end)
		switch {
		case at < len(list) && list[at] == ',':
			at = skipSpace(list, at+1)
		case at < len(list) && list[at] == ']':
			return n, checkEnd(list, at+1)
		default:
			return 0, errNotJSON
		}
	}
}

// StringEnd returns the place of the quotation mark that ends the string whose first
// character is at the place.
func StringEnd(text []byte, at int) (int, bool) {
	for at < len(text) {
		n := bytes.IndexByte(text[at:], '"')
		if n < 0 {
			return 0, false
		}
		// A quotation mark after an odd number of backslashes belongs to the string.
		escapes := 0
		for escapes < n && text[at+n-1-escapes] == '\\' {
			escapes++
		}
		if at += n; escapes%2 == 0 {
			return at, true
		}
		at++
	}
	return 0, false
}

// readMember reads the member whose name begins at the place.
func readMember(object []byte, at int) (name string, value Span, err error) {
	if object[at] != '"' {
		return "", Span{}, errNotJSON
	}
	end, ok := StringEnd(object, at+1)
	if !ok {
		return "", Span{}, errNotJSON
	}
	raw := object[at+1 : end]
	if bytes.IndexByte(raw, '\\') >= 0 {
		return "", Span{}, errName
	}
	colon := skipSpace(object, end+1)
	if colon == len(object) || object[colon] != ':' {
		return "", Span{}, errNotJSON
	}
	value.Start = skipSpace(object, colon+1)
	if value.End, ok = valueEnd(object, value.Start); !ok {
		return "", Span{}, errNotJSON
	}
	return string(raw), value, nil
}

// valueEnd returns the place after the value that begins at the place.
func valueEnd(text []byte, at int) (int, bool) {
	depth := 0
	for begin := at; at < len(text); at++ {
		switch text[at] {
		case '"':
			end, ok := StringEnd(text, at+1)
			if !ok {
				return 0, false
			}
			if at = end; depth == 0 {
				return at + 1, true
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return at, at > begin
			}
			if depth--; depth == 0 {
				return at + 1, true
			}
		case ',', ' ', '\t', '\r', '\n', ':':
			if depth == 0 {
				return at, at > begin
			}
		}
	}
	return 0, false
}

func skipSpace(text []byte, at int) int {
	for at < len(text) && (text[at] == ' ' || text[at] == '\t' || text[at] == '\r' || text[at] == '\n') {
		at++
	}
	return at
}

// checkEnd returns an error if the text goes on after the place.
func checkEnd(text []byte, at int) error {
	if skipSpace(text, at) != len(text) {
		return errNotJSON
	}
	return nil
}
