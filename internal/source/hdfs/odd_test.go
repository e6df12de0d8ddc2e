// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hdfs

import (
	"errors"
	"strings"
	"testing"

	"github.com/kuda-io/kuda/internal/source"
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
