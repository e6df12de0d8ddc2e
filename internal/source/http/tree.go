// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package http

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	nethttp "net/http"
	"strings"
	"time"

	"github.com/kuda-io/kuda/internal/backoff"
	"github.com/kuda-io/kuda/internal/source"
)

// heads is how many files of a tree are asked for their size at the same time.
const heads = 48

// listTree yields the files of an index in its order. Their heads are fetched
// ahead, heads at a time, because an index has no sizes.
func (s *Source) listTree(ctx context.Context, dir string, yield func(source.Entry, error) bool) {
	op := "listing " + s.keyURL(dir)
	response, err := s.doRequest(ctx, op, nethttp.MethodGet, dir+Index, nil) //nolint:bodyclose // closed below, unless there is none
	if err != nil {
		if errors.Is(err, source.ErrNotFound) {
			err = &source.Error{Op: op, Class: source.ErrNotFound, Err: fmt.Errorf(
				"there is no %s in it; make one with sha256sum, or remove the slash at the end of remotePath if it is a file", Index)}
		}
		yield(source.Entry{}, err)
		return
	}
	defer response.Body.Close()
	if response.ContentLength < 0 && len(response.TransferEncoding) == 0 {
		yield(source.Entry{}, &source.Error{Op: op, Class: source.ErrTemporary, Err: fmt.Errorf(
			"the server does not say where %s ends, so that half of it would look like all of it; make it send a Content-Length", Index)})
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	files := make(chan chan result, heads)
	go func() {
		defer close(files)
		s.readIndex(ctx, op, dir, response.Body, files)
	}()
	for file := range files {
		r := <-file
		if !yield(r.entry, r.err) || r.err != nil {
			return
		}
	}
	if err := context.Cause(ctx); err != nil {
		yield(source.Entry{}, source.Wrap(ctx, op, err))
	}
}

type result struct {
	entry source.Entry
	err   error
}

// readIndex sends one channel per line, in order, on which the result follows.
func (s *Source) readIndex(ctx context.Context, op, dir string, index io.Reader, files chan<- chan result) {
	lines := newLines(index)
	first := true
	for lines.Scan() {
		source.Alive(ctx)
		line := lines.Text()
		if first {
			line = strings.TrimPrefix(line, byteOrderMark)
		}
		if line == "" {
			continue
		}
		file := make(chan result, 1)
		select {
		case files <- file:
		case <-ctx.Done():
			return
		}
		sum, name, err := parseLine(line)
		if err != nil {
			file <- result{err: badLine(op, line, first, err)}
			return
		}
		first = false
		go func() {
			var r result
			defer func() { file <- r }()
			defer source.Catch(op, &r.err)
			r.entry, r.err = s.indexedEntry(ctx, dir, name)
			r.entry.Path, r.entry.Checksum = name, "sha256:"+sum
		}()
	}
	err := lines.Err()
	switch {
	case err != nil:
		err = source.Wrap(ctx, op, err)
	case first:
		err = unlikeIndex(op, "")
	}
	if err != nil {
		file := make(chan result, 1)
		file <- result{err: err}
		select {
		case files <- file:
		case <-ctx.Done():
		}
	}
}

// newLines splits an index into its lines. What an index that is cut off ends with
// is no line: it may look like one, of another name.
func newLines(index io.Reader) *bufio.Scanner {
	cut := false
	lines := bufio.NewScanner(readerFunc(func(p []byte) (int, error) {
		n, err := index.Read(p)
		cut = err != nil && !errors.Is(err, io.EOF)
		return n, err
	}))
	lines.Buffer(make([]byte, 0, maxLine), maxLine)
	lines.Split(func(data []byte, atEnd bool) (int, []byte, error) {
		if cut && !bytes.ContainsRune(data, '\n') {
			return len(data), nil, nil
		}
		return bufio.ScanLines(data, atEnd)
	})
	return lines
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// byteOrderMark is what some editors write before the first line.
const byteOrderMark = "\ufeff"

// badLine is the error of a line that is not one of an index. Where it is the
// first one, and the beginning of a page or a document, a proxy has answered.
func badLine(op, line string, first bool, err error) error {
	if first && strings.ContainsRune("<{[", rune(strings.TrimSpace(line + "x")[0])) {
		return unlikeIndex(op, line)
	}
	return &source.Error{Op: op, Class: source.ErrMisconfigured, Err: err}
}

// unlikeIndex is the error of an answer that has no line of an index.
func unlikeIndex(op, begin string) error {
	return &source.Error{Op: op, Class: source.ErrTemporary,
		Err: fmt.Errorf("the server answered with %s instead of %s", source.FirstWords([]byte(begin)), Index)}
}

// indexedEntry returns the entry of a file in a tree. A name that no caller will use
// is passed on without asking the server for it.
func (s *Source) indexedEntry(ctx context.Context, dir, name string) (source.Entry, error) {
	if !source.ValidPath(name) {
		return source.Entry{Key: dir + name}, nil
	}
	entry, err := s.statFile(ctx, dir+name, headTries)
	if errors.Is(err, source.ErrNotFound) {
		err = &source.Error{Op: "listing " + s.keyURL(dir), Class: source.ErrNotFound,
			Err: fmt.Errorf("%s lists %s, which the server does not have", Index, name)}
	}
	return entry, err
}

const (
	// headTries is how often each request for the head of a file of a tree is made,
	// where it fails: of thousands one may, and a listing that began anew for it would
	// never end. It is each request and not all that one head takes, which are up to
	// three: of those of an empty file one may fail each time.
	headTries = 3
	// headPause is how long to wait before the second try; before the third it is
	// twice as long.
	headPause = 300 * time.Millisecond
)

// requestWithRetry is doRequest with up to tries tries. A server that asks to wait, or
// that cannot be reached, is a matter of the whole listing.
func (s *Source) requestWithRetry(ctx context.Context, tries int, op, method, key string,
	header nethttp.Header) (*nethttp.Response, error) {
	for try := 1; ; try++ {
		response, err := s.doRequest(ctx, op, method, key, header)
		if try >= tries || !errors.Is(err, source.ErrTemporary) || source.RetryAfter(err) > 0 || ctx.Err() != nil {
			return response, err
		}
		if backoff.Sleep(ctx, time.Duration(try)*headPause) != nil {
			return nil, err
		}
	}
}
