// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"errors"
	"testing"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/cache"
)

// Fill takes over what fills has for a file, in two steps.
func (s *shelf) Fill(_ context.Context, e source.Entry, held func(string, int64)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	content, ok := s.fills[e.Key]
	if !ok {
		return &cache.Error{Reason: cache.ReasonFailed, Cache: s.Identity(), Err: errors.New("no worker")}
	}
	half := int64(len(content) / 2)
	held("one", half)
	if s.fail != nil {
		if err := s.fail(e.Key, half); err != nil {
			return err
		}
	}
	s.files[e.Key] = content
	held("two", int64(len(content))-half)
	return nil
}

// newEmptyBench is a bench whose cache has nothing yet, and may take what the tree has.
func newEmptyBench(t *testing.T) (*cachedBench, map[string]string) {
	b, want := newCachedBench(t)
	b.shelf.fills, b.shelf.files = b.shelf.files, map[string][]byte{}
	return b, want
}

func TestAFilledCacheServesAllThatMayComeFromIt(t *testing.T) {
	b, want := newEmptyBench(t)
	b.only = true
	r := b.request("tree/", "1", "")
	var last [2]int64
	f, err := b.engine.FillCache(t.Context(), r, func(held, total int64) { last = [2]int64{held, total} })
	if err != nil || f.Held != large || f.Total != large || f.Reason() != "" {
		t.Fatalf("%+v, %v", f, err)
	}
	if f.Holders["one"] != large/2 || f.Holders["two"] != large/2 {
		t.Errorf("it is held by %v", f.Holders)
	}
	if last[1] != large || last[0] > large {
		t.Errorf("the progress was %d of %d", last[0], last[1])
	}
	if b.shelf.asked != 1 || b.server.Bodies("tree/large") != 0 {
		t.Errorf("the cache was asked for %d files, and the source %d times", b.shelf.asked, b.server.Bodies("tree/large"))
	}
	if result := b.deliverCached(t, "1", want); result.Cache.Served != large || b.server.Bodies("tree/large") != 0 {
		t.Errorf("then: %+v", result.Cache)
	}
}

func TestWhatACacheDoesNotHoldIsSaid(t *testing.T) {
	b, want := newEmptyBench(t)
	b.shelf.fail = func(string, int64) error {
		return &cache.Error{Reason: cache.ReasonIncomplete, Cache: "shelf://test", Err: errors.New("it holds 50 %")}
	}
	f, err := b.engine.FillCache(t.Context(), b.request("tree/", "1", ""), nil)
	if err != nil || f.Held != large/2 || f.Total != large || f.Reason() != cache.ReasonIncomplete {
		t.Errorf("%+v, %v", f, err)
	}
	b.only = true
	_, err = b.engine.FillCache(t.Context(), b.request("tree/", "1", ""), nil)
	if !errors.Is(err, source.ErrUnreachable) {
		t.Errorf("with fallback Never: %v", err)
	}
	b.only, b.shelf.fail = false, nil
	b.shelf.fills = nil // no worker
	f, err = b.engine.FillCache(t.Context(), b.request("tree/", "1", ""), nil)
	if err != nil || f.Held != 0 || f.Fallbacks[cache.ReasonFailed] != large {
		t.Errorf("without a worker: %+v, %v", f, err)
	}
	b.deliverCached(t, "1", want)
}

func TestFillingAsksForNothingThatIsNotToComeFromTheCache(t *testing.T) {
	b, _ := newEmptyBench(t)
	r := b.request("tree/", "1", "")
	r.Exclude = []string{"large"}
	if f, err := b.engine.FillCache(t.Context(), r, nil); err != nil || f.Held != 0 || f.Total != 0 || f.Reason() != "" || b.shelf.asked != 0 {
		t.Errorf("%+v, %v; the cache was asked %d times", f, err, b.shelf.asked)
	}
	r.Cache = nil
	if f, err := b.engine.FillCache(t.Context(), r, nil); f != nil || err != nil {
		t.Errorf("without a cache: %+v, %v", f, err)
	}
	r = b.request("gone/", "1", "")
	if _, err := b.engine.FillCache(t.Context(), r, nil); !errors.Is(err, source.ErrNotFound) {
		t.Errorf("without a file: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.engine.FillCache(ctx, b.request("tree/", "1", ""), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// proofless is a source that does not answer when it is asked for a checksum.
type proofless struct{ source.Cacheable }

func (proofless) Prove(context.Context, source.Entry) (string, error) {
	return "", &source.Error{Op: "asking", Class: source.ErrTemporary}
}

func TestACacheIsNotFullBecauseTheSourceDidNotAnswer(t *testing.T) {
	b, _ := newEmptyBench(t)
	r := b.request("tree/", "1", "")
	r.Cache = b.group.New(b.shelf, proofless{b.source.(source.Cacheable)})
	if f, err := b.engine.FillCache(t.Context(), r, nil); !errors.Is(err, source.ErrTemporary) {
		t.Errorf("%+v, %v", f, err)
	}
}
