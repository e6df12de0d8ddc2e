// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/source"
)

// scratch is where archives are unpacked.
type scratch struct {
	dir string
	// limit is how many bytes there may be together, 0 for any.
	limit int64
	used  atomic.Int64
}

// scratchFile is a file that has no name any more: the kernel removes it when it
// is closed, or the process ends. It is written once, then flushed, then read.
type scratchFile struct {
	scratch *scratch
	file    *os.File
	buffer  *bufio.Writer
	size    int64
}

func (s *scratch) createFile() (*scratchFile, error) {
	file, err := os.CreateTemp(s.dir, "kuda-oci-")
	if err != nil {
		return nil, s.explainError(err)
	}
	if err := os.Remove(file.Name()); err != nil {
		file.Close()
		return nil, s.explainError(err)
	}
	f := &scratchFile{scratch: s, file: file}
	f.buffer = bufio.NewWriterSize(charged{f}, 1<<20)
	return f, nil
}

// explainError says what to do about an error of the directory.
func (s *scratch) explainError(err error) error {
	dir := s.dir
	if dir == "" {
		dir = os.TempDir()
	}
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		err = fmt.Errorf("there is no room in %s for the unpacked layers; give it more, or push the files as layers of their own, which are "+
			"not unpacked: %w", dir, err)
	} else {
		err = fmt.Errorf("the directory %s cannot be written: %w", dir, err)
	}
	return &source.Error{Op: "unpacking a layer", Class: source.ErrMisconfigured, Err: err}
}

// charged writes to the file and counts against the limit.
type charged struct{ f *scratchFile }

func (c charged) Write(p []byte) (int, error) {
	s := c.f.scratch
	c.f.size += int64(len(p))
	if used := s.used.Add(int64(len(p))); s.limit > 0 && used > s.limit {
		return 0, s.explainError(fmt.Errorf("they may take %d bytes: %w", s.limit, unix.ENOSPC))
	}
	n, err := c.f.file.Write(p)
	if err != nil {
		return n, s.explainError(err)
	}
	return n, nil
}

// Write adds to the file.
func (f *scratchFile) Write(p []byte) (int, error) { return f.buffer.Write(p) }

// ReadAt reads what was flushed.
func (f *scratchFile) ReadAt(p []byte, offset int64) (int, error) { return f.file.ReadAt(p, offset) }

func (f *scratchFile) flush() error {
	err := f.buffer.Flush()
	f.buffer = nil
	return err
}

func (f *scratchFile) close() {
	f.file.Close()
	f.scratch.used.Add(-f.size)
}
