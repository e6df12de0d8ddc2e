// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package pvc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/source"
)

// reader reads a range of one state of a file.
type reader struct {
	ctx      context.Context
	source   *Source
	op       string
	file     *os.File
	identity source.Identity
	offset   int64
	left     int64
	end      error
}

// checkUnchanged fails when the file is not the one any more that was listed.
func (r *reader) checkUnchanged() error {
	var stat unix.Stat_t
	if err := unix.Fstat(int(r.file.Fd()), &stat); err != nil {
		return r.source.classifyError(r.op, err)
	}
	if got := entryIdentity(&stat); got != r.identity {
		return r.changedError(fmt.Errorf("it is %s now, and was %s when it was listed", got, r.identity))
	}
	return nil
}

func (r *reader) changedError(err error) error {
	return &source.Error{Op: r.op, Class: source.ErrChanged, Err: err}
}

func (r *reader) Read(p []byte) (int, error) {
	if r.end != nil {
		return 0, r.end
	}
	if err := context.Cause(r.ctx); err != nil {
		r.end = source.Wrap(r.ctx, r.op, err)
		return 0, r.end
	}
	if r.left == 0 {
		return 0, r.finishRead()
	}
	n, err := r.file.ReadAt(p[:min(int64(len(p)), r.left)], r.offset)
	r.offset += int64(n)
	r.left -= int64(n)
	switch {
	case r.left == 0 && (err == nil || errors.Is(err, io.EOF)):
		if err := r.finishRead(); !errors.Is(err, io.EOF) {
			return n, err
		}
	case errors.Is(err, io.EOF):
		r.end = r.changedError(fmt.Errorf("it ends %d bytes early", r.left))
	case err != nil:
		r.end = r.source.classifyError(r.op, err)
	}
	if r.left > 0 {
		return n, r.end
	}
	return n, nil
}

// finishRead looks, after the last byte, whether all were of the same state.
func (r *reader) finishRead() error {
	if r.end = r.checkUnchanged(); r.end == nil {
		r.end = io.EOF
	}
	return r.end
}

func (r *reader) Close() error { return r.file.Close() }
