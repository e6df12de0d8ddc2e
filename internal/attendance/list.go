// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package attendance

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// Mark stands for a pod in lists. That two of 10,000 pods share one has a chance of one
// in a hundred, and would hide the silence of one of the two.
type Mark uint32

// markBytes is what a mark takes in a list.
const markBytes = 4

// MarkOf is the mark of a pod.
func MarkOf(pod types.UID) Mark {
	h := fnv.New32a()
	_, _ = h.Write([]byte(pod)) // it never fails
	return Mark(h.Sum32())
}

// List is sorted and has each mark once.
type List []Mark

// newList makes a list of marks in any order.
func newList(marks []Mark) List {
	slices.Sort(marks)
	return slices.Compact(marks)
}

// encodeMarks makes a list the value of an annotation.
func (l List) encodeMarks() string {
	raw := make([]byte, 0, len(l)*markBytes)
	for _, m := range l {
		raw = binary.BigEndian.AppendUint32(raw, uint32(m))
	}
	return base64.StdEncoding.EncodeToString(raw)
}

var errList = errors.New("it is no list of marks")

// decodeList reads what encode wrote.
func decodeList(value string) (List, error) {
	raw, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return nil, fmt.Errorf("reading a list: %w", err)
	}
	if len(raw)%markBytes != 0 {
		return nil, fmt.Errorf("reading a list: %w", errList)
	}
	l := make(List, 0, len(raw)/markBytes)
	for ; len(raw) > 0; raw = raw[markBytes:] {
		l = append(l, Mark(binary.BigEndian.Uint32(raw)))
	}
	return l, nil
}
