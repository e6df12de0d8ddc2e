// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/sourcetest"
)

func TestATreeArrivesAsItIs(t *testing.T) {
	b := newBench(t)
	want := b.putTree("tree/", 50)
	result := b.mustDeliver(t, b.key("tree/", "1"))
	if diff := cmp.Diff(want, files(t, result.Lease)); diff != "" {
		t.Errorf("(-want +got):\n%.2000s", diff)
	}
	m := result.Lease.Manifest()
	if result.Origin != OriginSource || len(m.Entries) != len(want) || m.File || !strings.HasPrefix(m.Digest, "xxh3:") {
		t.Errorf("got origin %s, %d entries, digest %s", result.Origin, len(m.Entries), m.Digest)
	}
	if err := b.store.Verify(t.Context(), result.Lease.ID(), true); err != nil {
		t.Errorf("verifying: %v", err)
	}
}

func TestASnapshotIsNotDownloadedTwice(t *testing.T) {
	b := newBench(t)
	b.putTree("tree/", 5)
	b.mustDeliver(t, b.key("tree/", "1"))
	sent := b.server.Sent()
	result := b.mustDeliver(t, b.key("tree/", "1"))
	if result.Origin != OriginNode || b.server.Sent() != sent {
		t.Errorf("origin %s, %d more bytes", result.Origin, b.server.Sent()-sent)
	}
}

func TestDigestDoesNotDependOnHowTheBytesArrive(t *testing.T) {
	b := newBench(t)
	b.putTree("tree/", 9)
	first := b.mustDeliver(t, b.key("tree/", "1")).Lease.Manifest().Digest
	b.server.Misbehave(sourcetest.Manners{NoRanges: true, NoTags: true}, nil)
	_, b.engine = openEngine(t, t.TempDir())
	if second := b.mustDeliver(t, b.key("tree/", "1")).Lease.Manifest().Digest; first != second {
		t.Errorf("%s and %s", first, second)
	}
}

func treeSum(want map[string]string) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		fmt.Fprintf(h, "%x  %s\n", sha256.Sum256([]byte(want[name])), name)
	}
	return fmt.Sprintf("sha256:%x", h.Sum(nil))
}

func TestADigestIsEnforced(t *testing.T) {
	b := newBench(t)
	want := b.putTree("tree/", 20)
	file := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(want["large"])))
	for path, digest := range map[string]string{"tree/": treeSum(want), "tree/large": file} {
		key := b.key(path, "1")
		key.Digest = digest
		if got := b.mustDeliver(t, key).Lease.Manifest().Digest; got != digest {
			t.Errorf("%s has the digest %s", path, got)
		}
		key.Digest = "sha256:" + strings.Repeat("0", 64)
		_, err := b.deliver(t.Context(), key)
		if e, ok := errors.AsType[*DigestMismatchError](err); !ok || e.Got != digest {
			t.Errorf("%s: got %v", path, err)
		}
		assertNothingStaged(t, b)
	}
}

func assertNothingStaged(t *testing.T, b *bench) {
	t.Helper()
	if left, _ := filepath.Glob(filepath.Join(b.store.Root(), "snapshots", "*.partial")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAChecksumOfTheSourceIsEnforced(t *testing.T) {
	b := newBench(t)
	b.server.Put("tree/SHA256SUMS", []byte(strings.Repeat("0", 64)+"  f\n"))
	b.server.Put("tree/f", []byte("content"))
	_, err := b.deliver(t.Context(), b.key("tree/", "1"))
	if e, ok := errors.AsType[*DigestMismatchError](err); !ok || e.Path != "f" {
		t.Errorf("got %v", err)
	}
}

func TestHostileNamesWriteNothing(t *testing.T) {
	for _, names := range [][]string{{"../escape"}, {"/absolute"}, {"a//b"}, {"a/./b"}, {strings.Repeat("x", 300)},
		{"a", "a/b"}, {"a/b", "a"}} {
		t.Run(fmt.Sprintf("%.20q", names), func(t *testing.T) {
			b := newBench(t)
			var index strings.Builder
			for _, name := range names {
				fmt.Fprintf(&index, "%x  %s\n", sha256.Sum256([]byte("x")), name)
				b.server.Put("tree/"+name, []byte("x"))
			}
			b.server.Put("tree/SHA256SUMS", []byte(index.String()))
			_, err := b.deliver(t.Context(), b.key("tree/", "1"))
			if _, ok := errors.AsType[*source.InvalidPathError](err); !ok {
				t.Errorf("got %v", err)
			}
			if b.server.Sent() > 0 {
				t.Error("bytes were asked for")
			}
		})
	}
}

func TestIncludeAndExcludeChoose(t *testing.T) {
	b := newBench(t)
	for _, name := range []string{"a.bin", "dir/b.bin", "dir/c.txt", "dir/deep/d.bin"} {
		b.server.Put("tree/"+name, []byte(name))
	}
	for want, key := range map[string]snapshot.Key{
		"a.bin":                          {Include: []string{"*.bin"}},
		"a.bin dir/b.bin dir/deep/d.bin": {Include: []string{"**/*.bin"}},
		"a.bin dir/c.txt":                {Exclude: []string{"dir/**/*.bin"}},
	} {
		key.Source, key.Path = b.source.Identity(), "tree/"
		got := slices.Sorted(maps.Keys(files(t, b.mustDeliver(t, key).Lease)))
		if strings.Join(got, " ") != want {
			t.Errorf("got %q, want %s", got, want)
		}
	}
	if _, err := b.deliver(t.Context(), snapshot.Key{Path: "tree/", Include: []string{"nothing"}}); !errors.Is(err, source.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if _, err := b.deliver(t.Context(), snapshot.Key{Path: "tree/", Include: []string{"[a-"}}); !errors.Is(err, source.ErrMisconfigured) {
		t.Errorf("got %v", err)
	}
}

func TestModesAreThoseAskedFor(t *testing.T) {
	b := newBench(t)
	b.server.Put("tool", []byte("#!/bin/sh\n"))
	key := b.key("tool", "1")
	mode := fs.FileMode(0o755)
	key.Mode = &mode
	for want, key := range map[fs.FileMode]snapshot.Key{0o755: key, 0o644: b.key("tool", "1")} {
		lease := b.mustDeliver(t, key).Lease
		info, err := os.Stat(filepath.Join(lease.Dir(), snapshot.FileName))
		if err != nil || info.Mode().Perm() != want || !lease.Manifest().File {
			t.Errorf("got %v, %v", info.Mode(), err)
		}
	}
}

func TestUnchangedFilesOfANewVersionAreShared(t *testing.T) {
	b := newBench(t)
	want := b.putTree("tree/", 30)
	b.mustDeliver(t, b.key("tree/", "1"))
	sent := b.server.Sent()
	b.server.Put("tree/d1/f1", []byte("changed"))
	want["d1/f1"] = "changed"
	result := b.mustDeliver(t, b.key("tree/", "2"))
	if diff := cmp.Diff(want, files(t, result.Lease)); diff != "" {
		t.Errorf("(-want +got):\n%.2000s", diff)
	}
	if got := b.server.Sent() - sent; got != int64(len("changed")) || result.Received != got {
		t.Errorf("%d bytes were sent, %d received", got, result.Received)
	}
}

func TestOneDownloadServesAllWaiters(t *testing.T) {
	b := newBench(t)
	b.putTree("tree/", 20)
	var wg sync.WaitGroup
	origins := make(chan Origin, 12)
	for range 12 {
		wg.Go(func() {
			_, engine := openEngine(t, b.store.Root())
			result, err := engine.Deliver(t.Context(), NewRequest(b.source, b.key("tree/", "1"), nil))
			if err != nil {
				t.Error(err)
				return
			}
			defer closeLease(t, result.Lease)
			origins <- result.Origin
		})
	}
	wg.Wait()
	close(origins)
	count := map[Origin]int{}
	for origin := range origins {
		count[origin]++
	}
	if count[OriginSource] != 1 || count[OriginNode] != 11 {
		t.Errorf("got %v", count)
	}
	for _, f := range []string{"tree/d1/f1", "tree/large"} {
		if limit := 3; b.server.Bodies(f) > limit { // large: two ranges, three where the machine is slow
			t.Errorf("%s was sent %d times", f, b.server.Bodies(f))
		}
	}
}

func TestProgressIsToldInOrder(t *testing.T) {
	b := newBench(t)
	want := b.putTree("tree/", 20)
	var total int64
	for _, content := range want {
		total += int64(len(content))
	}
	var states []State
	var last Progress
	request := NewRequest(b.source, b.key("tree/", "1"), func(p Progress) {
		if len(states) == 0 || states[len(states)-1] != p.State {
			states = append(states, p.State)
		}
		last = p
	})
	result, err := b.engine.Deliver(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	defer closeLease(t, result.Lease)
	if !slices.Equal(states, []State{Listing, Downloading, Verifying}) {
		t.Errorf("got %v", states)
	}
	if last.Done != total || last.Total != total || last.Files != len(want) {
		t.Errorf("got %+v, want %d bytes", last, total)
	}
}

func TestACancelledDeliveryEndsAndGoesOnLater(t *testing.T) {
	b := newBench(t)
	want := b.putTree("tree/", 20)
	ctx, cancel := context.WithCancel(t.Context())
	b.server.Misbehave(sourcetest.Manners{}, func(w http.ResponseWriter, r *http.Request) bool {
		if isBody(r) && strings.HasSuffix(r.URL.Path, "f19") {
			cancel()
		}
		return false
	})
	if _, err := b.deliver(ctx, b.key("tree/", "1")); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	b.server.Misbehave(sourcetest.Manners{}, nil)
	if diff := cmp.Diff(want, files(t, b.mustDeliver(t, b.key("tree/", "1")).Lease)); diff != "" {
		t.Errorf("(-want +got):\n%.2000s", diff)
	}
}
