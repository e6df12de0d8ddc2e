// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
)

// key is what an entry is opened by. Its text is what messages call the file.
type key struct {
	repository string
	blob       digest.Digest
	// size of the blob.
	size int64
	// offset of the file in the blob, or in the unpacked blob.
	offset   int64
	unpacked bool
}

func (k key) String() string {
	unpacked := ""
	if k.unpacked {
		unpacked = ",unpacked"
	}
	return fmt.Sprintf("%s@%s#%d,%d%s", k.repository, k.blob, k.offset, k.size, unpacked)
}

func parseKey(text string) (k key, err error) {
	blob, place, _ := strings.Cut(text, "#")
	place, k.unpacked = strings.CutSuffix(place, ",unpacked")
	offset, size, _ := strings.Cut(place, ",")
	repository, name, _ := strings.Cut(blob, "@")
	k.repository, k.blob = repository, digest.Digest(name)
	if k.offset, err = strconv.ParseInt(offset, 10, 64); err == nil {
		k.size, err = strconv.ParseInt(size, 10, 64)
	}
	if err == nil {
		err = k.blob.Validate()
	}
	if err != nil {
		return k, fmt.Errorf("%q is not a file of this source", text)
	}
	return k, nil
}
