// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hdfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/sourcetest/distance"
	"github.com/kuda-io/kuda/internal/source/sourcetest/odd"
)

// entriesOf lists a path of an odd server.
func entriesOf(t *testing.T, server *odd.Server, path string) (entries []source.Entry, last error) {
	t.Helper()
	s, err := New(Config{Addresses: []string{server.URL}, UserName: "kuda"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for e, err := range s.List(t.Context(), path) {
		if last = err; err == nil {
			entries = append(entries, e)
		}
	}
	return entries, last
}

// The namenode says that a file has no bytes, and its blocks have some.
func TestAFileIsEmptyOnlyWhereItsBlocksAre(t *testing.T) {
	server := odd.NewHDFS(t)
	server.Put("tree/empty", nil)
	server.Put("tree/file", []byte("content"))
	server.Fail(odd.Faults{ZeroLength: true})
	entries, err := entriesOf(t, server, "tree/")
	if err != nil || len(entries) != 2 || entries[0].Fault != nil || !errors.Is(entries[1].Fault, source.ErrChanged) {
		t.Errorf("got %+v, %v", entries, err)
	}
	server.Fail(odd.Faults{NoLength: true})
	for _, path := range []string{"tree/", "tree/file"} {
		if entries, err := entriesOf(t, server, path); !errors.Is(err, source.ErrTemporary) {
			t.Errorf("%s without a length: got %+v, %v", path, entries, err)
		}
	}
}

func TestAnEmptyFileThatIsRemovedWhileItIsListedHasChanged(t *testing.T) {
	server := odd.NewHDFS(t)
	server.Put("tree/file", []byte("content"))
	server.Fail(odd.Faults{Ghost: true})
	entries, err := entriesOf(t, server, "tree/")
	if err != nil || len(entries) != 2 || entries[0].Fault != nil || !errors.Is(entries[1].Fault, source.ErrChanged) {
		t.Errorf("got %+v, %v", entries, err)
	}
}

func TestAListingThatBeginsAgainIsNamed(t *testing.T) {
	server := odd.NewHDFS(t)
	for _, name := range []string{"a", "b", "c"} {
		server.Put("tree/"+name, []byte(name))
	}
	server.Fail(odd.Faults{PageSize: 2})
	if entries, err := entriesOf(t, server, "tree/"); err != nil || len(entries) != 3 {
		t.Errorf("got %+v, %v", entries, err)
	}
	server.Fail(odd.Faults{PageSize: 2, IgnoreTokens: true})
	entries, err := entriesOf(t, server, "tree/")
	if !errors.Is(err, source.ErrMisconfigured) || !strings.Contains(err.Error(), `"b"`) || len(entries) > 3 {
		t.Errorf("got %+v, %v", entries, err)
	}
}

// One directory after the other would take as many times the way to the namenode.
func TestDirectoriesOfAFarNamenodeAreListedAhead(t *testing.T) {
	const directories = 40
	server := odd.NewHDFS(t)
	for i := range directories {
		server.Put(fmt.Sprintf("tree/%02d/below/file", i), []byte("content"))
	}
	for name, test := range map[string]struct {
		ctx         context.Context
		least, most int64
	}{
		"together":      {t.Context(), 2, directories},
		"as limits ask": {source.OneAtATime(t.Context()), 2 * directories, 3 * directories},
	} {
		t.Run(name, func(t *testing.T) {
			far := distance.New(distance.Profile{FirstByte: 20 * time.Millisecond})
			t.Cleanup(far.Close)
			addr, err := far.Listen(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			s, err := New(Config{Addresses: []string{addr}, UserName: "kuda"})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			var got []string
			for e, err := range s.List(test.ctx, "tree") {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, e.Path)
			}
			if len(got) != directories || !slices.IsSorted(got) {
				t.Errorf("got %q", got)
			}
			// Those that are under way at once count as one.
			if n := far.Requests(); n < test.least || n > test.most {
				t.Errorf("%d requests followed each other, want %d to %d", n, test.least, test.most)
			}
		})
	}
}

func TestAFileThatChangedIsNotHandedOutThoughItsBlocksAreThere(t *testing.T) {
	server := odd.NewHDFS(t)
	server.Put("file", []byte("content"))
	s, err := New(Config{Addresses: []string{server.URL}, UserName: "kuda"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	var entry source.Entry
	for e, err := range s.List(t.Context(), "file") {
		if entry = e; err != nil {
			t.Fatal(err)
		}
	}
	body, err := s.Open(t.Context(), entry, 0, entry.Size)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(body); err != nil || string(got) != "content" {
		t.Errorf("got %q, %v", got, err)
	}
	body.Close()
	// The places of its blocks are known by now.
	server.Put("file", []byte("another"))
	if body, err := s.Open(t.Context(), entry, 0, entry.Size); !errors.Is(err, source.ErrChanged) {
		t.Errorf("got %v, %v", body, err)
	}
}
