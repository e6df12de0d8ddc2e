// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// NewReader returns a reader of exactly length bytes of body, as Source.Open
// promises it: a body that ends early, or goes on, is an error, and errors have
// a class. op names the object in them.
func NewReader(ctx context.Context, op string, body io.ReadCloser, length int64) io.ReadCloser {
	return &reader{ctx: ctx, op: op, body: body, left: length}
}

type reader struct {
	ctx  context.Context
	op   string
	body io.ReadCloser
	left int64
	err  error
}

func (r *reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.left == 0 {
		r.err = r.expectEOF()
		return 0, r.err
	}
	if int64(len(p)) > r.left {
		p = p[:r.left]
	}
	n, err := r.body.Read(p)
	if n > 0 {
		Alive(r.ctx)
	}
	r.left -= int64(n)
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		if r.left > 0 {
			r.err = &Error{Op: r.op, Class: ErrTemporary, Err: fmt.Errorf("the body ended %d bytes early", r.left)}
		} else {
			r.err = io.EOF
		}
	default:
		r.err = Wrap(r.ctx, r.op, err)
	}
	return n, r.err
}

// expectEOF looks at what follows the last byte: it must be the end.
func (r *reader) expectEOF() error {
	var more [1]byte
	n, err := r.body.Read(more[:])
	if n > 0 {
		return &Error{Op: r.op, Class: ErrChanged, Err: errors.New("the body is longer than the listing says")}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return Wrap(r.ctx, r.op, err)
	}
	return io.EOF
}

func (r *reader) Close() error { return r.body.Close() }

// WithContext returns a reader of r that ends with ctx, whose cause is its error.
func WithContext(ctx context.Context, r io.Reader) io.Reader { return &cancellable{ctx, r} }

type cancellable struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancellable) Read(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
