// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package intake

import (
	"errors"
	"fmt"

	"github.com/kuda-io/kuda/internal/admission/jsonspan"
)

// Bounds of one review. Each is well above what real objects need, and below
// what the API server can send: it takes requests of 3 MiB.
type Bounds struct {
	// Bytes of the body. A pod is rarely larger than 100 KiB: its annotations are
	// limited to 256 KiB in all, and etcd takes no object of more than 1.5 MiB. A
	// review of a change holds the object twice.
	Bytes int
	// Elements of all lists together: containers, volumes, variables, mounts,
	// arguments. It is these that decoding makes large: "{}" in the list of
	// containers becomes a structure of a kilobyte.
	Elements int
	// Values of all kinds together.
	Values int
	// Depth of nesting.
	Depth int
}

// The bounds in force.
var (
	// PodBounds are for pods. A pod with 50 containers of 50 variables and 20
	// mounts each has 4,000 elements.
	PodBounds = Bounds{Bytes: 1 << 20, Elements: 8 << 10, Values: 64 << 10, Depth: 64}
	// DataSetBounds are for DataSets, of which the schema allows 128 items with 128
	// patterns each, and
	// of a change hold two.
	DataSetBounds = Bounds{Bytes: 3 << 20, Elements: 40 << 10, Values: 96 << 10, Depth: 64}
)

var errNotJSON = errors.New("the body is not JSON")

// scanText counts what is in the text, without memory of its own, and returns how
// many elements its lists have, or an error that names the bound that is passed. It
// does not check the text: decoding does that.
func (b Bounds) scanText(text []byte) (elements int, err error) {
	var s scanner
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '"':
			end, ok := jsonspan.StringEnd(text, i+1)
			if !ok {
				return 0, errNotJSON
			}
			i = end
			s.values++
		case '{', '[':
			if s.depth++; s.depth > b.Depth {
				return 0, fmt.Errorf("the object is nested more than %d deep", b.Depth)
			}
			s.push(c == '[')
			s.values++
			if c == '[' {
				s.elements++ // a list that is not empty has one element more than commas
			}
		case '}', ']':
			if s.depth--; s.depth < 0 {
				return 0, errNotJSON
			}
			s.pop()
		case ',':
			s.values++
			if s.inList() {
				s.elements++
			}
		}
		if s.elements > b.Elements {
			return 0, fmt.Errorf("the object has more than %d elements in its lists", b.Elements)
		}
		if s.values > b.Values {
			return 0, fmt.Errorf("the object has more than %d values", b.Values)
		}
	}
	return s.elements, nil
}

// scanner is where a scan is.
type scanner struct {
	depth, elements, values int
	// lists has a bit for each level: whether it is a list. Depth is at most 64.
	lists uint64
}

func (s *scanner) push(list bool) {
	s.lists <<= 1
	if list {
		s.lists |= 1
	}
}

func (s *scanner) pop()         { s.lists >>= 1 }
func (s *scanner) inList() bool { return s.depth > 0 && s.lists&1 == 1 }
