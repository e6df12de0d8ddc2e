// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/cache"
)

// shelf is a cache that has what a test puts there.
type shelf struct {
	mu    sync.Mutex
	files map[string][]byte
	reads int
	// fail is asked before each read; nil for none.
	fail func(key string, offset int64) error
	// cut ends each body after so many bytes; 0 for never.
	cut int
	// fills is what it may take over, and asked how often it was to.
	fills map[string][]byte
	asked int
}

func (s *shelf) Identity() string { return "shelf://test" }
func (s *shelf) Close() error     { return nil }

func (s *shelf) Open(_ context.Context, e source.Entry, offset, length int64) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if s.fail != nil {
		if err := s.fail(e.Key, offset); err != nil {
			return nil, err
		}
	}
	content := s.files[e.Key]
	if offset+length > int64(len(content)) {
		return nil, &cache.Error{Reason: cache.ReasonStale, Cache: s.Identity(), Err: errors.New("it is shorter")}
	}
	content = content[offset : offset+length]
	if s.cut > 0 {
		return io.NopCloser(io.MultiReader(bytes.NewReader(content[:min(s.cut, len(content))]), brokenReader{})), nil
	}
	return io.NopCloser(bytes.NewReader(content)), nil
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("the worker was killed") }

// cachedBench is a bench with a cache in front of its server.
type cachedBench struct {
	*bench
	shelf *shelf
	only  bool
	group *cache.Group
}

// newCachedBench stores a tree of small files and a large one, and puts it into a cache.
func newCachedBench(t *testing.T) (b *cachedBench, want map[string]string) {
	t.Helper()
	b = &cachedBench{bench: newBench(t), shelf: &shelf{files: map[string][]byte{}}, group: cache.NewGroup()}
	want = b.putTree("tree/", 5)
	for name, content := range want {
		b.shelf.files["tree/"+name] = []byte(content)
	}
	return b, want
}

func (b *cachedBench) request(path, version, digest string) Request {
	key := b.key(path, version)
	key.Digest = digest
	r := NewRequest(b.source, key, nil)
	r.Cache = b.group.New(b.shelf, b.source.(source.Cacheable))
	r.Cache.Only = b.only
	return r
}

// deliverCached delivers the tree and compares it with what the source has.
func (b *cachedBench) deliverCached(t *testing.T, version string, want map[string]string) *Result {
	t.Helper()
	result, err := b.engine.Deliver(t.Context(), b.request("tree/", version, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer closeLease(t, result.Lease)
	if diff := cmp.Diff(want, files(t, result.Lease)); diff != "" {
		t.Errorf("the delivered bytes are not the source's (-want +got):\n%.500s", diff)
	}
	return result
}

const large = 20 << 20 // of putTree

func TestLargeFilesComeFromTheCacheAndSmallOnesFromTheSource(t *testing.T) {
	b, want := newCachedBench(t)
	result := b.deliverCached(t, "1", want)
	if result.Cache.Served != large || result.Cache.Rejected != 0 || len(result.Cache.Fallbacks) != 0 || result.Origin != OriginCache {
		t.Errorf("got %+v from %s", result.Cache, result.Origin)
	}
	if n := b.server.Bodies("tree/large"); n != 0 {
		t.Errorf("the source was asked for the large file %d times", n)
	}
	if b.server.Bodies("tree/d1/f1") != 1 || result.Cache.Source != b.server.Sent() {
		t.Errorf("the source sent %d bytes, and %d were counted", b.server.Sent(), result.Cache.Source)
	}
}

// wrong are ways in which a cache has other bytes than the source under the right length.
var wrong = map[string]func(right []byte) []byte{
	"one bit":       func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
	"the last byte": func(b []byte) []byte { b[len(b)-1]++; return b },
	"another file":  func(b []byte) []byte { return noise(5, len(b)) },
	"torn":          func(b []byte) []byte { return append(b[:len(b)/2:len(b)/2], noise(6, len(b)-len(b)/2)...) },
	"a block of 0":  func(b []byte) []byte { clear(b[8<<20 : 16<<20]); return b },
	"swapped blocks": func(b []byte) []byte {
		return append(append(bytes.Clone(b[8<<20:16<<20]), b[:8<<20]...), b[16<<20:]...)
	},
}

func TestWrongBytesOfACacheAreReadFromTheSourceOnce(t *testing.T) {
	for name, spoil := range wrong {
		t.Run(name, func(t *testing.T) {
			b, want := newCachedBench(t)
			b.shelf.files["tree/large"] = spoil(b.shelf.files["tree/large"])
			before := b.server.Sent()
			result := b.deliverCached(t, "1", want)
			if result.Cache.Rejected != large || result.Cache.Served != 0 || result.Cache.Reason() != cache.ReasonRejected ||
				result.Origin != OriginSource {
				t.Errorf("got %+v", result.Cache)
			}
			small := 0
			for file, content := range want {
				if file != "large" {
					small += len(content)
				}
			}
			if got := b.server.Sent() - before - int64(small); got != large {
				t.Errorf("the source sent %d bytes of the large file", got)
			}
		})
	}
}

func TestWithFallbackNeverTheSourceIsNotReadForWhatTheCacheHasWrong(t *testing.T) {
	for name, spoil := range wrong {
		b, _ := newCachedBench(t)
		b.only = true
		b.shelf.files["tree/large"] = spoil(b.shelf.files["tree/large"])
		_, err := b.engine.Deliver(t.Context(), b.request("tree/", "1", ""))
		if !errors.Is(err, source.ErrMisconfigured) || !strings.Contains(err.Error(), cache.ReasonRejected) {
			t.Errorf("%s: got %v", name, err)
		}
		if n := b.server.Bodies("tree/large"); n != 0 {
			t.Errorf("%s: the source was asked %d times", name, n)
		}
	}
}

func TestCacheThatFailsInTheMiddleLeavesTheRestToTheSource(t *testing.T) {
	b, want := newCachedBench(t)
	b.shelf.cut = 3 << 20
	result := b.deliverCached(t, "1", want)
	if result.Cache.Fallbacks[cache.ReasonFailed] == 0 || result.Cache.Served == 0 || result.Cache.Message == "" {
		t.Errorf("got %+v", result.Cache)
	}
	if n := b.server.Bodies("tree/large"); n > 3 {
		t.Errorf("the source was asked %d times for ranges of two spans", n)
	}
}

func TestFilesThatTheCacheDoesNotHaveComeFromTheSource(t *testing.T) {
	for _, reason := range []string{cache.ReasonStale, cache.ReasonMissing, cache.ReasonMisconfigured} {
		b, want := newCachedBench(t)
		b.shelf.fail = func(string, int64) error {
			return &cache.Error{Reason: reason, Cache: "shelf", Err: errors.New("another one")}
		}
		result := b.deliverCached(t, "1", want)
		if result.Cache.Reason() != reason || result.Cache.Fallbacks[reason] != large || result.Cache.Served != 0 {
			t.Errorf("%s: got %+v", reason, result.Cache)
		}
		only, _ := newCachedBench(t)
		only.only, only.shelf.fail = true, b.shelf.fail
		_, err := only.engine.Deliver(t.Context(), only.request("tree/", "1", ""))
		if err == nil || !strings.Contains(err.Error(), reason) || only.server.Bodies("tree/large") != 0 {
			t.Errorf("%s, with fallback Never: got %v, and the source was asked %d times", reason, err, only.server.Bodies("tree/large"))
		}
	}
}

func TestCacheThatFailsOftenIsNotAsked(t *testing.T) {
	b, want := newCachedBench(t)
	b.shelf.fail = func(string, int64) error { return errors.New("no route to host") }
	for i := range 6 {
		content := noise(uint32(100+i), 2<<20)
		name := fmt.Sprintf("more%d", i)
		want[name] = string(content)
		b.server.Put("tree/"+name, content)
	}
	result := b.deliverCached(t, "1", want)
	if b.shelf.reads > 6 { // three, and those that were under way
		t.Errorf("it was asked %d times", b.shelf.reads)
	}
	if result.Cache.Fallbacks[cache.ReasonBreaker] == 0 {
		t.Errorf("got %+v", result.Cache)
	}
}

func TestFilesThatNothingProvesComeFromTheSource(t *testing.T) {
	b, want := newCachedBench(t)
	result, err := b.engine.Deliver(t.Context(), b.request("tree/large", "1", ""))
	if err != nil {
		t.Fatal(err)
	}
	closeLease(t, result.Lease)
	if b.shelf.reads != 0 || result.Cache.Fallbacks[cache.ReasonUnprovable] != large || result.Cache.Source != large {
		t.Errorf("the cache was asked %d times: %+v", b.shelf.reads, result.Cache)
	}
	b.only = true
	b.server.Put("tree/other", []byte(want["large"]))
	if _, err := b.engine.Deliver(t.Context(), b.request("tree/other", "1", "")); !errors.Is(err, source.ErrMisconfigured) ||
		!strings.Contains(err.Error(), cache.ReasonUnprovable) {
		t.Errorf("with fallback Never: got %v", err)
	}
}

func TestDigestOfTheItemProvesAFileOfTheCache(t *testing.T) {
	b, want := newCachedBench(t)
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(want["large"])))
	result, err := b.engine.Deliver(t.Context(), b.request("tree/large", "1", digest))
	if err != nil {
		t.Fatal(err)
	}
	closeLease(t, result.Lease)
	if result.Cache.Served != large || b.server.Sent() != 0 {
		t.Errorf("got %+v, and the source sent %d bytes", result.Cache, b.server.Sent())
	}
	b.shelf.files["tree/large"][7] ^= 0x40
	result, err = b.engine.Deliver(t.Context(), b.request("tree/large", "2", digest))
	if err != nil {
		t.Fatal(err)
	}
	closeLease(t, result.Lease)
	if got := files(t, result.Lease); result.Reused == 0 && got["large"] != want["large"] {
		t.Error("the bytes are not those of the digest")
	}
}

// A writer that comes after one that read from the cache, and ended before the proof, must
// not take those bytes for the source's.
func TestUnprovedBytesOfACacheAreNotResumed(t *testing.T) {
	b, want := newCachedBench(t)
	b.only = true
	b.shelf.files["tree/large"][1] ^= 1
	b.shelf.fail = func(_ string, offset int64) error {
		if offset > 0 {
			return errors.New("the worker was killed")
		}
		return nil
	}
	if _, err := b.engine.Deliver(t.Context(), b.request("tree/", "1", "")); err == nil {
		t.Fatal("it was delivered")
	}
	before := b.server.Sent()
	b.only = false
	b.shelf.files = map[string][]byte{}
	result := b.deliverCached(t, "1", want)
	if got := b.server.Sent() - before; got < large {
		t.Errorf("the source sent %d bytes only: %+v", got, result)
	}
}

// TestFaultsOfACacheNeverChangeWhatIsDelivered makes many random faults.
func TestFaultsOfACacheNeverChangeWhatIsDelivered(t *testing.T) {
	random := rand.New(rand.NewPCG(17, 17))
	b, want := newCachedBench(t)
	right := []byte(want["large"])
	rejected := 0
	for i := range 40 {
		content := noise(uint32(1000+i), 2<<20+random.IntN(9<<20))
		want["large"] = string(content)
		b.server.Put("tree/large", content)
		spoiled := bytes.Clone(content)
		switch random.IntN(5) {
		case 0:
			spoiled[random.IntN(len(spoiled))] ^= byte(1 + random.IntN(255))
		case 1:
			at := random.IntN(len(spoiled))
			copy(spoiled[at:], right)
		case 2:
			spoiled = spoiled[:random.IntN(len(spoiled))]
		case 3:
			b.shelf.cut = 1 + random.IntN(len(spoiled))
		}
		right = content
		b.shelf.files["tree/large"] = spoiled
		b.group = cache.NewGroup()
		if result := b.deliverCached(t, fmt.Sprint("f", i), want); result.Cache.Rejected > 0 {
			rejected++
		}
		b.shelf.cut = 0
	}
	if rejected == 0 {
		t.Error("no fault was one of the bytes")
	}
}

func TestBytesOfACacheThatWereOfNoUseDoNotCountAsTheSources(t *testing.T) {
	b, want := newCachedBench(t)
	b.shelf.cut = 3<<20 + 1000 // in the middle of what is written at once
	result := b.deliverCached(t, "1", want)
	if result.Cache.Source != b.server.Sent() || result.Cache.Served == 0 {
		t.Errorf("the source sent %d bytes; counted were %+v", b.server.Sent(), result.Cache)
	}
}

// frozen is a source that does not answer when it is asked for a checksum.
type frozen struct{ source.Cacheable }

func (frozen) Prove(ctx context.Context, _ source.Entry) (string, error) {
	<-ctx.Done()
	return "", context.Cause(ctx)
}

func TestASourceThatIsSilentAboutAChecksumIsNotWaitedForEndlessly(t *testing.T) {
	b, _ := newCachedBench(t)
	f := &file{path: "large", entry: source.Entry{Key: "large", Size: large, Identity: `"1"`}, left: large}
	c := &cached{cache: b.group.New(b.shelf, frozen{}), stall: 20 * time.Millisecond, fallbacks: map[string]int64{}}
	if err := c.admitFile(t.Context(), f, digest.XXH3); err != nil || f.fromCache != nil {
		t.Errorf("got %v", err)
	}
	if c.fallbacks[cache.ReasonUnprovable] != large || !strings.Contains(c.message, "no byte came") {
		t.Errorf("%v: %s", c.fallbacks, c.message)
	}
	c.cache.Only = true
	if err := c.admitFile(t.Context(), f, digest.XXH3); !errors.Is(err, source.ErrUnreachable) {
		t.Errorf("with fallback Never: got %v", err)
	}
}
