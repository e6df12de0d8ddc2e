// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/internal/source"
)

// listingTests are the tests of listing trees.
type listingTests struct{ Harness }

func (h listingTests) runListing(t *testing.T) {
	t.Run("a tree is listed as a whole, and each file can be read", h.testTree)
	t.Run("a single file has no path", h.testSingleFile)
	t.Run("a missing path is not found", h.testMissingPaths)
	t.Run("a prefix of a name is not the name", h.testNamePrefix)
	t.Run("a consumer may stop listing", h.testListingStops)
	t.Run("ten thousand files are all listed, always in the same order", h.testManyFiles)
	if h.Mkdir != nil {
		t.Run("directories without files are not listed", h.testEmptyDirectories)
	}
	if h.PutLink != nil {
		t.Run("symbolic links are listed and not followed", h.testSymlinks)
		t.Run("a path that is a symbolic link is what it points to", h.linkedPath)
	}
	if h.PutHostile != nil {
		t.Run("hostile names are passed on as they are", h.testHostileNames)
	}
}

// oddNames are all valid file names that break careless escaping.
var oddNames = []string{
	"plain", "empty", "dir/deep/er/file", "with space", " leading", "trailing ", "plus+sign", "percent%41", "hash#mark", "question?mark",
	"quote'\"", "semi;colon&amp", "ünïcödé-日本語", "e\u0301 is not \u00e9", "👩‍🚀", "...", "dots../x", "..dots", "~tilde", "tab=equal,comma",
	"[brackets]{}", "UPPER", "upper", "a:b@c$d!e*f()", "-rf", "$(x)`y`", "<a>|b", "^caret", `back\slash`, ".hidden/.file",
	"a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p", "sha256:0", "%2e%2e%2fx", strings.Repeat("n", 255), strings.Repeat("日", 85),
}

func (h listingTests) testTree(t *testing.T) {
	files, want := map[string][]byte{}, map[string][]byte{}
	for i, name := range oddNames {
		if h.refusesPath("tree/" + name) {
			continue
		}
		content := fmt.Appendf(nil, "%d: %s", i, name)
		if name == "empty" {
			content = []byte{}
		}
		want[name] = content
		files["tree/"+name] = content
	}
	h.putAll(t, files)
	s := h.openDirect(t)
	for _, path := range []string{"tree/", "/tree/"} {
		if diff := cmp.Diff(want, h.readTree(t, s, path)); diff != "" {
			t.Errorf("listing %q (-want +got):\n%s", path, diff)
		}
	}
	for _, entry := range h.listEntries(t, s, "tree/") {
		if entry.Size != int64(len(want[entry.Path])) {
			t.Errorf("%q has %d bytes in the listing, not %d", entry.Path, entry.Size, len(want[entry.Path]))
		}
		if sum, ok := strings.CutPrefix(entry.Checksum, "sha256:"); ok && sum != fmt.Sprintf("%x", sha256.Sum256(want[entry.Path])) {
			t.Errorf("%q has another checksum than its bytes", entry.Path)
		}
	}
	first, again, other := h.listEntries(t, s, "tree/"), h.listEntries(t, s, "tree/"), h.listEntries(t, h.openDirect(t), "tree/")
	if !slices.Equal(first, again) || !slices.Equal(first, other) {
		t.Error("listings of the same tree differ")
	}
	if a, b := s.Identity(), h.openDirect(t).Identity(); a == "" || a != b {
		t.Errorf("two sources for the same data have the identities %q and %q", a, b)
	}
	if a, b := readProvenance(t, s), readProvenance(t, h.openDirect(t)); a != b {
		t.Errorf("two sources of the same settings have the provenances %+v and %+v", a, b)
	}
}

func (h listingTests) testSingleFile(t *testing.T) {
	h.Put(t, "single/file", []byte("content"))
	s := h.openDirect(t)
	entry := h.listOneFile(t, s, "single/file")
	if entry.Path != "" || entry.Size != 7 || entry.Link != "" {
		t.Fatalf("got %+v", entry)
	}
	if got := readRange(t, s, entry, 0, 7); string(got) != "content" {
		t.Errorf("read %q", got)
	}
}

func (h listingTests) testMissingPaths(t *testing.T) {
	h.Put(t, "missing/there", []byte("x"))
	s := h.openDirect(t)
	paths := []string{"nothing", "nothing/", "missing/file", "missing/dir/"}
	if !h.FailsBelowFiles {
		paths = append(paths, "missing/there/below")
	}
	for _, path := range paths {
		isOneOf(t, "listing "+path, h.listError(t.Context(), s, path), source.ErrNotFound)
	}
}

func (h listingTests) testNamePrefix(t *testing.T) {
	h.Put(t, "prefix/file-2", []byte("2"))
	h.Put(t, "prefix/dir-2/file", []byte("2"))
	s := h.openDirect(t)
	for _, path := range []string{"prefix/file", "prefix/dir/"} {
		isOneOf(t, "listing "+path, h.listError(t.Context(), s, path), source.ErrNotFound)
	}
}

func (h listingTests) testListingStops(t *testing.T) {
	files := map[string][]byte{}
	for i := range 20 {
		files[fmt.Sprintf("stops/%02d", i)] = []byte("x")
	}
	h.putAll(t, files)
	s := h.openDirect(t)
	count := 0
	for _, err := range s.List(t.Context(), h.remotePath("stops/")) {
		if err != nil {
			t.Fatal(err)
		}
		if count++; count == 3 {
			break
		}
	}
}

const (
	manyFiles = 10_000
	// manyBytes is how much a listing of them may keep: far more than a page, far
	// less than a connection or a buffer for each.
	manyBytes = 24 << 20
)

func (h listingTests) testManyFiles(t *testing.T) {
	files, want := make(map[string][]byte, manyFiles), make(map[string]int64, manyFiles)
	for i := range manyFiles {
		name := fmt.Sprintf("d%02d/f%05d", i%100, i)
		files["many/"+name] = fmt.Appendf(nil, "%0*d", i%10, i)
		want[name] = int64(len(files["many/"+name]))
	}
	h.putAll(t, files)
	s := h.openDirect(t)
	before, grown := heapBytes(), uint64(0)
	got, order := make(map[string]int64, manyFiles), make([]source.Entry, 0, manyFiles)
	for entry, err := range s.List(t.Context(), h.remotePath("many/")) {
		if err != nil {
			t.Fatal(err)
		}
		got[entry.Path] = entry.Size
		if order = append(order, entry); len(order) == manyFiles/2 {
			grown = heapBytes() - min(before, heapBytes())
		}
	}
	if len(order) != manyFiles {
		t.Errorf("%d files are listed", len(order))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%.2000s", diff)
	}
	if grown > manyBytes {
		t.Errorf("halfway through the listing %d MiB more are in use", grown>>20)
	}
	if again := h.listEntries(t, s, "many/"); !slices.Equal(order, again) {
		t.Error("two listings of the same tree differ")
	}
	h.cancelListing(t, s)
}

func heapBytes() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// cancelListing ends a long listing in its middle.
func (h listingTests) cancelListing(t *testing.T, s source.Source) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	count := 0
	var last error
	for _, err := range s.List(ctx, h.remotePath("many/")) {
		if last = err; err != nil {
			break
		}
		if count++; count == 10 {
			cancel()
		}
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("a cancelled listing went on for %d files and ended with %v", count, last)
	}
}

func (h listingTests) testEmptyDirectories(t *testing.T) {
	h.Put(t, "directories/full/file", []byte("x"))
	h.Mkdir(t, "directories/hollow")
	h.Mkdir(t, "directories/full/hollow/deep")
	h.Mkdir(t, "barren/deep/er")
	s := h.openDirect(t)
	if diff := cmp.Diff(map[string][]byte{"full/file": []byte("x")}, h.readTree(t, s, "directories/")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, path := range []string{"barren/", "barren/deep", "directories/hollow/"} {
		isOneOf(t, "listing "+path, h.listError(t.Context(), s, path), source.ErrNotFound)
	}
}

func (h listingTests) testSymlinks(t *testing.T) {
	h.Put(t, "links/dir/file", []byte("content"))
	want := map[string]string{
		"dir/file":   "",
		"beside":     "dir/file",
		"dir/up":     "../beside",
		"to-dir":     "dir",
		"loop":       ".",
		"dangling":   "nowhere",
		"out":        "../../outside", // the caller refuses these two
		"dir/passwd": "/etc/passwd",
	}
	for path, target := range want {
		if target != "" {
			h.PutLink(t, "links/"+path, target)
		}
	}
	got := map[string]string{}
	for _, entry := range h.listEntries(t, h.openDirect(t), "links/") {
		got[entry.Path] = entry.Link
		if entry.Link != "" && entry.Size != 0 {
			t.Errorf("the link %q has %d bytes", entry.Path, entry.Size)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func (h listingTests) linkedPath(t *testing.T) {
	h.Put(t, "linked/v1/file", []byte("content"))
	h.PutLink(t, "linked/current", "v1")
	h.PutLink(t, "linked/file", "v1/file")
	h.PutLink(t, "linked/dangling", "v0")
	s := h.openDirect(t)
	entry := h.listOneFile(t, s, "linked/file")
	if entry.Path != "" || entry.Link != "" || string(readRange(t, s, entry, 0, entry.Size)) != "content" {
		t.Errorf("a link to a file: got %+v", entry)
	}
	if diff := cmp.Diff(map[string][]byte{"file": []byte("content")}, h.readTree(t, s, "linked/current/")); diff != "" {
		t.Errorf("a link to a tree (-want +got):\n%s", diff)
	}
	isOneOf(t, "a link to nothing", h.listError(t.Context(), s, "linked/dangling"), source.ErrNotFound)
}

// hostileNames are those that callers refuse.
var hostileNames = []string{
	"../escape", "a/../../escape", "a/..", "./a", "a/./b", "a//b", "/absolute", "new\nline", "carriage\rreturn", "tab\there", "\x01", "\x7f",
	"escape\x1b[31m", "bad\xff", strings.Repeat("x", 256), strings.Repeat("x/", 1600) + "x",
}

func (h listingTests) testHostileNames(t *testing.T) {
	s := h.openDirect(t)
	for i, name := range hostileNames {
		if source.ValidPath(name) {
			t.Fatalf("%q is not hostile", name)
		}
		tree := fmt.Sprintf("hostile-%d/", i)
		h.Put(t, tree+"plain", []byte("x"))
		if !h.PutHostile(t, tree+name, []byte("x")) {
			continue
		}
		var got []string
		for _, entry := range h.listEntries(t, s, tree) {
			got = append(got, entry.Path)
		}
		slices.Sort(got)
		want := []string{name, "plain"}
		if h.Clean != nil {
			want[0] = h.Clean(name)
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%.40q (-want +got):\n%s", name, diff)
		}
	}
}
