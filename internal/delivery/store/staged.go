// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"iter"

	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
)

// Staged is one file that an earlier writer began or completed.
type Staged struct {
	Path     string
	Size     int64
	Identity string
	// Blocks are the sums of the blocks that are on the disk, by index; nil once
	// the file is complete.
	Blocks map[int]digest.Sum
	// Prefixes are how far other blocks are, by index. What is recorded of them
	// may be less than what is on the disk, and is to be checked against it.
	Prefixes map[int]Prefix
	// Entry of the complete file, else nil.
	Entry *snapshot.Entry
}

// Prefix is the beginning of a block that is on the disk.
type Prefix struct {
	// Bytes of the block, less than all of them.
	Bytes int64
	// Sum of those bytes.
	Sum digest.Sum
}

// staged has what is staged by path. Few files are begun; a hundred thousand may be
// complete, and are packed.
type staged struct {
	begun    map[string]*Staged
	complete map[string]string
}

func newStaged() staged {
	return staged{begun: map[string]*Staged{}, complete: map[string]string{}}
}

func (s staged) countFiles() int { return len(s.begun) + len(s.complete) }

func (s staged) hasFile(path string) bool {
	_, complete := s.complete[path]
	return complete || s.begun[path] != nil
}

// get returns what is staged of a file, nil if nothing is.
func (s staged) get(path string) *Staged {
	packed, ok := s.complete[path]
	if !ok {
		return s.begun[path]
	}
	e := snapshot.Unpack(path, packed)
	return &Staged{Path: path, Size: e.Size, Identity: e.Identity, Entry: &e}
}

func (s staged) beginFile(f *Staged) {
	delete(s.complete, f.Path)
	s.begun[f.Path] = f
}

func (s staged) completeFile(e snapshot.Entry) {
	delete(s.begun, e.Path)
	s.complete[e.Path] = e.Pack()
}

func (s staged) forgetFile(path string) {
	delete(s.begun, path)
	delete(s.complete, path)
}

// allPaths yields the paths of all files, which may be forgotten meanwhile.
func (s staged) allPaths() iter.Seq[string] {
	return func(yield func(string) bool) {
		for path := range s.begun {
			if !yield(path) {
				return
			}
		}
		for path := range s.complete {
			if !yield(path) {
				return
			}
		}
	}
}
