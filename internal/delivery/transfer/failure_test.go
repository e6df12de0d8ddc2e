// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/sourcetest"
)

func TestPermanentErrorsComeAtOnceWithTheirClass(t *testing.T) {
	for status, want := range map[int]error{404: source.ErrNotFound, 403: source.ErrDenied, 401: source.ErrDenied,
		400: source.ErrMisconfigured} {
		b := newBench(t)
		b.putTree("tree/", 3)
		var asked atomic.Int64
		b.server.Misbehave(sourcetest.Manners{}, func(w http.ResponseWriter, r *http.Request) bool {
			if !isBody(r) {
				return false
			}
			asked.Add(1)
			w.WriteHeader(status)
			return true
		})
		if _, err := b.deliver(t.Context(), b.key("tree/large", "1")); !errors.Is(err, want) {
			t.Errorf("%d: got %v", status, err)
		}
		if asked.Load() > 2 {
			t.Errorf("%d: asked %d times", status, asked.Load())
		}
	}
}

func TestServersErrorsAreRetriedAndThenTold(t *testing.T) {
	b := newBench(t)
	want := b.putTree("tree/", 10)
	var failures atomic.Int64
	b.server.Misbehave(sourcetest.Manners{}, func(w http.ResponseWriter, r *http.Request) bool {
		if isBody(r) && failures.Add(1)%2 == 1 {
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}
		return false
	})
	b.engine.policy.Attempts = 20
	result := b.mustDeliver(t, b.key("tree/", "1"))
	if diff := cmp.Diff(want, files(t, result.Lease)); diff != "" {
		t.Errorf("(-want +got):\n%.2000s", diff)
	}
	b.server.Misbehave(sourcetest.Manners{}, func(w http.ResponseWriter, r *http.Request) bool {
		w.WriteHeader(http.StatusInternalServerError)
		return true
	})
	if _, err := b.deliver(t.Context(), b.key("tree/", "other")); !errors.Is(err, source.ErrTemporary) {
		t.Errorf("got %v", err)
	}
}

func TestCutConnectionsDoNotCutFiles(t *testing.T) {
	b := newBench(t)
	want := b.putTree("tree/", 10)
	cutter := newCutter(t, b)
	b.source = openSource(t, "http://"+cutter.Addr)
	cutter.After(3<<20, false)
	b.engine.policy.Attempts = 20
	result := b.mustDeliver(t, b.key("tree/", "1"))
	if diff := cmp.Diff(want, files(t, result.Lease)); diff != "" {
		t.Errorf("(-want +got):\n%.2000s", diff)
	}
}

func TestAStalledServerIsUnreachable(t *testing.T) {
	b := newBench(t)
	b.putTree("tree/", 1)
	cutter := newCutter(t, b)
	b.source = openSource(t, "http://"+cutter.Addr)
	cutter.After(1<<20, true)
	b.engine.options.Stall, b.engine.policy.Attempts = 200e6, 1
	if _, err := b.deliver(t.Context(), b.key("tree/large", "1")); !errors.Is(err, source.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}

// A file that changes between two of its ranges must arrive as one of the two.
func TestAFileThatChangesWhileItIsReadIsNeverMixed(t *testing.T) {
	for name, manners := range map[string]sourcetest.Manners{
		"conditions kept":    {},
		"conditions ignored": {IgnoreConditions: true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			old, changed := noise(1, 40<<20), noise(2, 40<<20)
			b.server.Put("file", old)
			var asked atomic.Int64
			b.server.Misbehave(manners, func(w http.ResponseWriter, r *http.Request) bool {
				if isBody(r) && asked.Add(1) == 2 {
					b.server.Put("file", changed)
				}
				return false
			})
			result := b.mustDeliver(t, b.key("file", "1"))
			if got := files(t, result.Lease)[snapshot.FileName]; got != string(old) && got != string(changed) {
				t.Error("the file is a mixture")
			}
		})
	}
}

func TestAFileThatKeepsChangingIsAnError(t *testing.T) {
	b := newBench(t)
	var count atomic.Uint32
	b.server.Put("file", noise(0, 1000))
	b.server.Misbehave(sourcetest.Manners{}, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodHead {
			b.server.Put("file", noise(count.Add(1), 1000))
		}
		return false
	})
	if _, err := b.deliver(t.Context(), b.key("file", "1")); !errors.Is(err, source.ErrChanged) {
		t.Errorf("got %v", err)
	}
}

func TestServersWithoutTagsDeliverWholeFilesOnly(t *testing.T) {
	b := newBench(t)
	want := b.putTree("tree/", 10)
	b.server.Misbehave(sourcetest.Manners{NoTags: true}, nil)
	result := b.mustDeliver(t, b.key("tree/", "1"))
	if diff := cmp.Diff(want, files(t, result.Lease)); diff != "" {
		t.Errorf("(-want +got):\n%.2000s", diff)
	}
	if n := b.server.Bodies("tree/large"); n != 1 {
		t.Errorf("the large file was read in %d pieces", n)
	}
}

// interrupt delivers until a body of the named file has been asked for.
func interrupt(t *testing.T, b *bench, key snapshot.Key, stop func(r *http.Request) bool) {
	t.Helper()
	b.engine.options.RangeBytes = 8 << 20 // more of them than connections
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b.server.Misbehave(sourcetest.Manners{}, func(w http.ResponseWriter, r *http.Request) bool {
		if isBody(r) && stop(r) {
			cancel()
			<-r.Context().Done()
			return true
		}
		return false
	})
	if _, err := b.deliver(ctx, key); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	b.server.Misbehave(sourcetest.Manners{}, nil)
}

func lastRange(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Range"), "bytes=33554432-")
}

func TestAnInterruptedFileGoesOnWhereItWas(t *testing.T) {
	b := newBench(t)
	content := noise(5, 40<<20)
	b.server.Put("file", content)
	interrupt(t, b, b.key("file", "1"), lastRange)
	result := b.mustDeliver(t, b.key("file", "1"))
	if files(t, result.Lease)[snapshot.FileName] != string(content) {
		t.Error("the bytes are others")
	}
	if result.Reused == 0 || result.Received+result.Reused != int64(len(content)) {
		t.Errorf("%d bytes were received and %d reused", result.Received, result.Reused)
	}
}

// A connection that dies in the middle of a block costs what came since the last
// record of it, and what is not on the disk any more as it was recorded.
func TestAnInterruptedBlockGoesOnWhereItWas(t *testing.T) {
	for name, harm := range map[string]bool{"as it was": false, "harmed": true} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			content := noise(7, 40<<20)
			b.server.Put("file", content)
			key := b.key("file", "1")
			const sent = 5<<20 + 1000 // of each range
			b.server.Misbehave(sourcetest.Manners{}, func(w http.ResponseWriter, r *http.Request) bool {
				var from, to int
				if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); n != 2 {
					return false
				}
				w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256(content)))
				w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(content)))
				w.Header().Set("Content-Length", fmt.Sprint(to-from+1))
				w.WriteHeader(http.StatusPartialContent)
				_, _ = w.Write(content[from:min(from+sent, to+1)])
				return true
			})
			b.engine.policy.Attempts = 1
			if _, err := b.deliver(t.Context(), key); !errors.Is(err, source.ErrTemporary) {
				t.Fatalf("got %v", err)
			}
			b.server.Misbehave(sourcetest.Manners{}, nil)
			if harm {
				found, err := filepath.Glob(filepath.Join(b.store.Root(), "snapshots", "*.partial", "data", snapshot.FileName))
				if err != nil || len(found) != 1 {
					t.Fatal(found, err)
				}
				staged, err := os.OpenFile(found[0], os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer staged.Close()
				for at := int64(0); at < 40<<20; at += 1 << 20 {
					if _, err := staged.WriteAt([]byte("harm"), at); err != nil {
						t.Fatal(err)
					}
				}
			}
			result := b.mustDeliver(t, key)
			if files(t, result.Lease)[snapshot.FileName] != string(content) {
				t.Error("the bytes are others")
			}
			if harm != (result.Reused == 0) || result.Reused%(1<<20) != 0 || result.Received+result.Reused != int64(len(content)) {
				t.Errorf("%d bytes were received and %d reused", result.Received, result.Reused)
			}
		})
	}
}

func TestAFileThatChangedSinceTheInterruptionStartsAnew(t *testing.T) {
	b := newBench(t)
	b.server.Put("file", noise(5, 40<<20))
	interrupt(t, b, b.key("file", "1"), lastRange)
	changed := noise(6, 40<<20)
	b.server.Put("file", changed)
	result := b.mustDeliver(t, b.key("file", "1"))
	if files(t, result.Lease)[snapshot.FileName] != string(changed) || result.Reused != 0 {
		t.Errorf("%d bytes were reused", result.Reused)
	}
}

func TestATreeThatChangedItsShapeSinceTheInterruptionIsTheNewOne(t *testing.T) {
	b := newBench(t)
	for _, name := range []string{"a", "b", "c/d", "gone/x", "zz"} {
		b.server.Put("tree/"+name, []byte(name))
	}
	b.engine.options.SmallConnections, b.engine.options.Connections = 1, 1
	interrupt(t, b, b.key("tree/", "1"), func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "zz") })
	for _, name := range []string{"a", "c/d", "gone/x", "zz"} {
		b.server.Delete("tree/" + name)
	}
	b.server.Put("tree/a/now", []byte("dir"))
	b.server.Put("tree/c", []byte("file"))
	want := map[string]string{"a/now": "dir", "b": "b", "c": "file"}
	result := b.mustDeliver(t, b.key("tree/", "1"))
	if diff := cmp.Diff(want, files(t, result.Lease)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := os.Stat(filepath.Join(result.Lease.Dir(), "gone")); err == nil {
		t.Error("an empty directory is left")
	}
}

func TestNoRoomIsToldBeforeTheFirstByte(t *testing.T) {
	b := newBench(t)
	b.putTree("tree/", 3)
	s, err := store.Open(store.Options{Root: t.TempDir(), Quota: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	b.store, b.engine = s, New(Options{Store: s})
	_, err = b.deliver(t.Context(), b.key("tree/", "1"))
	if e, ok := errors.AsType[*store.InsufficientSpaceError](err); !ok || e.Needed < 20<<20 || e.Free != 1<<20 {
		t.Errorf("got %v", err)
	}
	if b.server.Sent() > 0 {
		t.Error("bytes were asked for")
	}
	assertNothingStaged(t, b)
}

func TestBuffersAreGivenBack(t *testing.T) {
	b := newBench(t)
	b.putTree("tree/", 30)
	b.mustDeliver(t, b.key("tree/", "1"))
	for _, p := range b.engine.buffers {
		if len(p.slots) != 0 || len(p.free) != 0 || p.users != 0 {
			t.Errorf("%d buffers are out, %d are kept, %d users", len(p.slots), len(p.free), p.users)
		}
	}
}
