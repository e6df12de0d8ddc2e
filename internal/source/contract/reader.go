// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/kuda-io/kuda/internal/source"
)

// maxIdleReads is how often in a row a reader may return neither bytes nor an
// error, as bufio has it.
const maxIdleReads = 100

// reader yields exactly the bytes that were asked for, and then io.EOF, or an
// error that has a class.
type reader struct {
	ctx  context.Context
	op   string
	body io.ReadCloser
	left int64
	idle int
	err  error
}

func (r *reader) Read(p []byte) (n int, err error) {
	if r.err != nil {
		return 0, r.err
	}
	defer func() { r.err = err }()
	defer source.Catch(r.op, &err)
	if len(p) == 0 {
		return 0, nil
	}
	n, err = r.body.Read(p)
	switch {
	case n < 0 || n > len(p):
		return 0, contractError(r.op, fmt.Errorf("the driver read %d bytes into %d", n, len(p)))
	case int64(n) > r.left:
		return 0, &source.Error{Op: r.op, Class: source.ErrChanged, Err: errors.New("the body goes on after its end")}
	}
	r.left -= int64(n)
	if n > 0 {
		r.idle = 0
	} else if r.idle++; err == nil && r.idle > maxIdleReads {
		return 0, &source.Error{Op: r.op, Class: source.ErrTemporary, Err: io.ErrNoProgress}
	}
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF) && r.left > 0:
		return n, &source.Error{Op: r.op, Class: source.ErrTemporary, Err: fmt.Errorf("the body ended %d bytes early", r.left)}
	case errors.Is(err, io.EOF):
		return n, io.EOF
	}
	return n, classifyError(r.ctx, r.op, err)
}

func (r *reader) Close() (err error) {
	defer source.Catch(r.op, &err)
	return r.body.Close()
}
