// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/source"
)

// changeTests are the tests of files that change.
type changeTests struct{ Harness }

func (h changeTests) runChange(t *testing.T) {
	t.Run("a changed file is never read as the old one", h.testChangedFile)
	t.Run("a file that changes while it is read is never a mixture", h.testChangeDuringRead)
	if h.Delete != nil {
		t.Run("a deleted file is never read as another one", h.testDeletedFile)
	}
}

// oldOr fails the test unless a read gave the old bytes, or an error by which a
// caller knows that it has to list again.
func oldOr(t *testing.T, what string, want, got []byte, err error, classes ...error) {
	t.Helper()
	if err == nil {
		if !bytes.Equal(got, want) {
			t.Errorf("%s: the bytes are not those of the file that was listed", what)
		}
		return
	}
	isOneOf(t, what, err, classes...)
	// After a temporary failure callers go on where it was.
	if source.Temporary(err) && !bytes.HasPrefix(want, got) {
		t.Errorf("%s: the bytes before the temporary failure are not those of the file that was listed", what)
	}
}

func (h changeTests) testChangedFile(t *testing.T) {
	const size = 300_000
	old := randomContent(size, 1)
	for name, changed := range map[string][]byte{
		"other bytes": randomContent(size, 2), "longer": append(bytes.Clone(old), 'x'), "shorter": old[:size-1], "empty": {},
	} {
		h.Put(t, "changed/file", old)
		s := h.openDirect(t)
		entry := h.listOneFile(t, s, "changed/file")
		h.Put(t, "changed/file", changed)
		got, err := tryRead(t.Context(), s, entry, 0, size)
		oldOr(t, name, old, got, err, source.ErrChanged)
		if !entry.NoRanges {
			got, err = tryRead(t.Context(), s, entry, size/2, 1000)
			oldOr(t, name+", a range", old[size/2:size/2+1000], got, err, source.ErrChanged)
		}
		if again := h.listOneFile(t, s, "changed/file"); again.Identity == entry.Identity {
			t.Errorf("%s: the changed file has the same identity", name)
		}
	}
}

// writerWaits is how long the reader of a changing file waits for the writer. Some
// servers make the writer wait for the reader.
const writerWaits = time.Second

func (h changeTests) testChangeDuringRead(t *testing.T) {
	const size = 24 << 20 // more than buffers hold on the way
	old := randomContent(size, 1)
	for name, changed := range map[string][]byte{"other bytes": randomContent(size, 2), "shorter": randomContent(size/2, 3),
		"longer": randomContent(size+1000, 4)} {
		h.Put(t, "changing/file", old)
		s := h.openDirect(t)
		entry := h.listOneFile(t, s, "changing/file")
		body, err := s.Open(t.Context(), entry, 0, size)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 64<<10, size)
		if _, err := io.ReadFull(body, got); err != nil {
			t.Fatal(err)
		}
		put, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			select {
			case <-put:
			case <-time.After(writerWaits):
			}
			var rest []byte
			rest, err = io.ReadAll(body)
			got = append(got, rest...)
		}()
		h.Put(t, "changing/file", changed)
		close(put)
		<-done
		body.Close()
		oldOr(t, name, old, got, err, source.ErrChanged, source.ErrTemporary)
	}
}

func (h changeTests) testDeletedFile(t *testing.T) {
	const size = 200_000
	content := randomContent(size, 1)
	h.Put(t, "deleted/file", content)
	h.Put(t, "deleted/other", content)
	s := h.openDirect(t)
	entry := h.listOneFile(t, s, "deleted/file")
	h.Delete(t, "deleted/file")
	got, err := tryRead(t.Context(), s, entry, 0, size)
	oldOr(t, "deleted before it was opened", content, got, err, source.ErrNotFound, source.ErrChanged)
	if err := h.listError(t.Context(), s, "deleted/file"); !errors.Is(err, source.ErrNotFound) {
		t.Errorf("listing: got %v", err)
	}
}
