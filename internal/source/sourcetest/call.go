// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/source"
)

// patience is how long a call may take that ought to end at once.
const patience = 30 * time.Second

// listEntries lists what h calls path.
func (h Harness) listEntries(t *testing.T, s source.Source, path string) (entries []source.Entry) {
	t.Helper()
	for entry, err := range s.List(t.Context(), h.remotePath(path)) {
		if err != nil {
			t.Fatalf("listing %q: %v", path, err)
		}
		entries = append(entries, entry)
	}
	return entries
}

// listOneFile lists a single file.
func (h Harness) listOneFile(t *testing.T, s source.Source, path string) source.Entry {
	t.Helper()
	entries := h.listEntries(t, s, path)
	if len(entries) != 1 {
		t.Fatalf("listing %q: got %+v instead of one file", path, entries)
	}
	return entries[0]
}

// readTree lists a tree and reads its files.
func (h Harness) readTree(t *testing.T, s source.Source, path string) map[string][]byte {
	t.Helper()
	got := map[string][]byte{}
	for _, entry := range h.listEntries(t, s, path) {
		if _, twice := got[entry.Path]; twice {
			t.Errorf("%q is listed twice", entry.Path)
		}
		got[entry.Path] = []byte{}
		if entry.Size > 0 {
			got[entry.Path] = readRange(t, s, entry, 0, entry.Size)
		}
	}
	return got
}

// listError returns the error that a listing ends with.
func (h Harness) listError(ctx context.Context, s source.Source, path string) error {
	for _, err := range s.List(ctx, h.remotePath(path)) {
		if err != nil {
			return err
		}
	}
	return nil
}

// readRange reads a range.
func readRange(t *testing.T, s source.Source, e source.Entry, offset, length int64) []byte {
	t.Helper()
	content, err := tryRead(t.Context(), s, e, offset, length)
	if err != nil {
		t.Fatalf("reading %d bytes of %q from %d on: %v", length, e.Key, offset, err)
	}
	return content
}

// tryRead returns the bytes before the error, too.
func tryRead(ctx context.Context, s source.Source, e source.Entry, offset, length int64) ([]byte, error) {
	body, err := s.Open(ctx, e, offset, length)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(body)
	return content, errors.Join(err, body.Close())
}

// runPromptly fails the test when f takes too long.
func runPromptly(t *testing.T, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		t.Fatalf("the call did not end within %v", patience)
		return nil
	}
}

var classes = []error{
	source.ErrNotFound, source.ErrDenied, source.ErrThrottled, source.ErrChanged, source.ErrTemporary,
	source.ErrUnreachable, source.ErrMisconfigured, source.ErrCredentials,
}

// isOneOf fails the test unless err has exactly one of the classes.
func isOneOf(t *testing.T, what string, err error, want ...error) {
	t.Helper()
	has, wanted := 0, false
	for _, class := range classes {
		if errors.Is(err, class) {
			has++
		}
	}
	for _, class := range want {
		wanted = wanted || errors.Is(err, class)
	}
	if !wanted {
		t.Errorf("%s: got %v, want one of %v", what, err, want)
	} else if has > 1 {
		t.Errorf("%s: the error has %d classes: %v", what, has, err)
	}
}

// randomContent is content of which no two parts are alike; another seed gives other
// bytes nearly everywhere.
func randomContent(n int, seed byte) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b) // never fails
	return b
}
