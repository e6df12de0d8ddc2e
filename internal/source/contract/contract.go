// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/kuda-io/kuda/internal/source"
)

// Check returns next with what it hands over held against the contract.
func Check(next source.Source) source.Source { return &checked{next: next} }

type checked struct{ next source.Source }

func (s *checked) Identity() string { return s.next.Identity() }

func (s *checked) Close() (err error) {
	defer source.Catch("closing the source", &err)
	return s.next.Close()
}

// List passes on entries that keep the contract, and ends with an error at the
// first that does not.
func (s *checked) List(ctx context.Context, path string) iter.Seq2[source.Entry, error] {
	return func(yield func(source.Entry, error) bool) {
		op := "listing " + s.next.Identity() + " " + path
		// A panic of the consumer is not the driver's: it must go on as it is.
		consuming, stopped := false, false
		var err error
		func() {
			defer func() {
				if !consuming {
					source.Rescue(op, recover(), &err)
				}
			}()
			err = s.listChecked(ctx, op, path, func(e source.Entry) bool {
				consuming = true
				more := yield(e, nil)
				consuming, stopped = false, !more
				return more
			})
		}()
		if err != nil && !stopped {
			yield(source.Entry{}, err)
		}
	}
}

// listChecked hands over entries, and returns the error that ends the listing; nil when
// the consumer ended it.
func (s *checked) listChecked(ctx context.Context, op, path string, take func(source.Entry) bool) error {
	var seen listing
	for entry, err := range s.next.List(ctx, path) {
		if err != nil {
			return classifyError(ctx, op, err)
		}
		if reason := seen.addEntry(&entry); reason != "" {
			return contractError(op, fmt.Errorf("it lists %.200q, but %s; the storage system or its driver is at fault", entryName(entry), reason))
		}
		if !take(entry) {
			return nil
		}
	}
	return nil
}

func entryName(e source.Entry) string {
	if e.Path == "" {
		return e.Key
	}
	return e.Path
}

// Open passes on a reader that keeps the contract.
func (s *checked) Open(ctx context.Context, e source.Entry, offset, length int64) (body io.ReadCloser, err error) {
	op := "reading " + s.next.Identity() + " " + e.Key
	defer source.Catch(op, &err)
	if offset < 0 || length < 1 || offset > e.Size-length {
		return nil, &source.Error{Op: op, Class: source.ErrChanged,
			Err: fmt.Errorf("the file has %d bytes, and %d from %d on are wanted", e.Size, length, offset)}
	}
	body, err = s.next.Open(ctx, e, offset, length)
	switch {
	case err != nil:
		return nil, classifyError(ctx, op, err)
	case body == nil:
		return nil, contractError(op, errors.New("the driver opened nothing"))
	}
	return &reader{ctx: ctx, op: op, body: body, left: length}, nil
}

// classifyError gives an error a class where a driver forgot to.
func classifyError(ctx context.Context, op string, err error) error {
	if _, ok := errors.AsType[*source.Error](err); ok {
		return err
	}
	if _, ok := errors.AsType[*source.InvalidPathError](err); ok {
		return err
	}
	return source.Wrap(ctx, op, err)
}

func contractError(op string, err error) error {
	return &source.Error{Op: op, Class: source.ErrMisconfigured, Err: err}
}
