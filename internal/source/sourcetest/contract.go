// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/internal/source"
)

// Harness is a real server with a driver for it.
type Harness struct {
	// Addr is the server's host:port.
	Addr string
	// Open opens a source that reaches the server through addr.
	Open func(t *testing.T, addr string) source.Source
	// OpenDenied opens one whose credentials are wrong.
	OpenDenied func(t *testing.T) source.Source
	// Put stores a file.
	Put func(t *testing.T, path string, content []byte)
	// Refuses names that the server does not store.
	Refuses func(path string) bool
}

// Run checks that a driver keeps the contract of source.Source.
func Run(t *testing.T, h Harness) {
	t.Run("a tree is listed as a whole, and each file can be read", h.tree)
	t.Run("a single file has no path", h.single)
	t.Run("a range is exactly that range", h.ranges)
	t.Run("a missing path is not found", h.missing)
	t.Run("a prefix of a name is not the name", h.prefix)
	t.Run("a changed file is never read as the old one", h.changed)
	t.Run("wrong credentials are denied", h.denied)
	t.Run("a cut connection is not an end", h.cut)
	t.Run("nobody at the address is unreachable", h.unreachable)
	t.Run("a cancelled read ends", h.cancelled)
	t.Run("a consumer may stop listing", h.stops)
}

// oddNames are all valid file names that break careless escaping.
var oddNames = []string{
	"plain", "empty", "dir/deep/er/file", "with space", "plus+sign", "percent%41", "hash#mark", "question?mark",
	"quote'\"", "semi;colon&amp", "ünïcödé-日本語", "...", "dots../x", "~tilde", "tab=equal,comma", "[brackets]{}", "UPPER", "upper",
	"a:b@c$d!e*f()",
}

func (h Harness) tree(t *testing.T) {
	want := map[string][]byte{}
	for i, name := range oddNames {
		if h.Refuses != nil && h.Refuses(name) {
			continue
		}
		content := []byte(fmt.Sprintf("%d: %s", i, name))
		if name == "empty" {
			content = []byte{}
		}
		want[name] = content
		h.Put(t, "tree/"+name, content)
	}
	s := h.Open(t, h.Addr)
	for _, path := range []string{"tree/", "/tree/"} {
		got := map[string][]byte{}
		for entry, err := range s.List(t.Context(), path) {
			if err != nil {
				t.Fatal(err)
			}
			if entry.Size != int64(len(want[entry.Path])) {
				t.Errorf("%q has %d bytes in the listing, not %d", entry.Path, entry.Size, len(want[entry.Path]))
			}
			got[entry.Path] = []byte{}
			if entry.Size > 0 {
				got[entry.Path] = read(t, s, entry, 0, entry.Size)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("listing %q (-want +got):\n%s", path, diff)
		}
	}
	if first, second := list(t, s, "tree/"), list(t, s, "tree/"); !slices.Equal(first, second) {
		t.Error("two listings of the same tree differ")
	}
}

func (h Harness) single(t *testing.T) {
	h.Put(t, "single/file", []byte("content"))
	s := h.Open(t, h.Addr)
	entries := list(t, s, "single/file")
	if len(entries) != 1 || entries[0].Path != "" || entries[0].Size != 7 {
		t.Fatalf("got %+v", entries)
	}
	if got := read(t, s, entries[0], 0, 7); string(got) != "content" {
		t.Errorf("read %q", got)
	}
}

func (h Harness) ranges(t *testing.T) {
	content := pattern(300_000)
	h.Put(t, "ranges/file", content)
	s := h.Open(t, h.Addr)
	entry := list(t, s, "ranges/file")[0]
	for _, r := range [][2]int64{{0, 1}, {0, 300_000}, {1, 299_999}, {299_999, 1}, {65_536, 131_072}} {
		if got := read(t, s, entry, r[0], r[1]); !bytes.Equal(got, content[r[0]:r[0]+r[1]]) {
			t.Errorf("range %v has other bytes", r)
		}
	}
}

func (h Harness) missing(t *testing.T) {
	s := h.Open(t, h.Addr)
	for _, path := range []string{"missing", "missing/"} {
		if err := listError(t.Context(), s, path); !errors.Is(err, source.ErrNotFound) {
			t.Errorf("listing %q: got %v", path, err)
		}
	}
}

func (h Harness) prefix(t *testing.T) {
	h.Put(t, "prefix/file-2", []byte("2"))
	s := h.Open(t, h.Addr)
	if err := listError(t.Context(), s, "prefix/file"); !errors.Is(err, source.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func (h Harness) changed(t *testing.T) {
	h.Put(t, "changed/file", []byte("version one"))
	s := h.Open(t, h.Addr)
	entry := list(t, s, "changed/file")[0]
	h.Put(t, "changed/file", []byte("version two"))
	body, err := s.Open(t.Context(), entry, 0, entry.Size)
	if err == nil {
		body.Close()
	}
	if !errors.Is(err, source.ErrChanged) {
		t.Errorf("opening got %v", err)
	}
	if again := list(t, s, "changed/file")[0]; again.Identity == entry.Identity {
		t.Error("the changed file has the same identity")
	}
}

func (h Harness) denied(t *testing.T) {
	h.Put(t, "denied/file", []byte("secret"))
	s := h.OpenDenied(t)
	for _, path := range []string{"denied/file", "denied/"} {
		if err := listError(t.Context(), s, path); !errors.Is(err, source.ErrDenied) {
			t.Errorf("listing %q: got %v", path, err)
		}
	}
}

func (h Harness) cut(t *testing.T) {
	h.Put(t, "cut/file", pattern(4<<20))
	cutter := NewCutter(t, h.Addr)
	s := h.Open(t, cutter.Addr)
	entry := list(t, s, "cut/file")[0]
	cutter.After(1<<20, false)
	body, err := s.Open(t.Context(), entry, 0, entry.Size)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	n, err := io.Copy(io.Discard, body)
	if !errors.Is(err, source.ErrTemporary) {
		t.Errorf("after %d bytes: got %v", n, err)
	}
}

func (h Harness) unreachable(t *testing.T) {
	s := h.Open(t, "127.0.0.1:1")
	if err := listError(t.Context(), s, "tree/"); !errors.Is(err, source.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}

func (h Harness) cancelled(t *testing.T) {
	h.Put(t, "cancelled/file", pattern(8<<20))
	cutter := NewCutter(t, h.Addr)
	s := h.Open(t, cutter.Addr)
	entry := list(t, s, "cancelled/file")[0]
	cutter.After(1<<20, true)
	ctx, cancel := context.WithCancel(t.Context())
	body, err := s.Open(ctx, entry, 0, entry.Size)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if _, err := io.ReadFull(body, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, body); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := listError(ctx, s, "cancelled/file"); !errors.Is(err, context.Canceled) {
		t.Errorf("listing got %v", err)
	}
}

func (h Harness) stops(t *testing.T) {
	for i := range 20 {
		h.Put(t, fmt.Sprintf("stops/%02d", i), []byte("x"))
	}
	s := h.Open(t, h.Addr)
	count := 0
	for _, err := range s.List(t.Context(), "stops/") {
		if err != nil {
			t.Fatal(err)
		}
		if count++; count == 3 {
			break
		}
	}
}

func list(t *testing.T, s source.Source, path string) (entries []source.Entry) {
	t.Helper()
	for entry, err := range s.List(t.Context(), path) {
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry)
	}
	return entries
}

func listError(ctx context.Context, s source.Source, path string) error {
	for _, err := range s.List(ctx, path) {
		if err != nil {
			return err
		}
	}
	return nil
}

func read(t *testing.T, s source.Source, e source.Entry, offset, length int64) []byte {
	t.Helper()
	body, err := s.Open(t.Context(), e, offset, length)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	content, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// pattern is content of which no two parts are alike.
func pattern(n int) []byte {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}
