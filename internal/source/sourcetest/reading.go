// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"
)

// readingTests are the tests of reading ranges.
type readingTests struct{ Harness }

func (h readingTests) runReading(t *testing.T) {
	t.Run("a range is exactly that range", h.testRanges)
	t.Run("a range beyond the end is an error", h.testRangeBeyondEnd)
	t.Run("several goroutines read without mixing bytes", h.testConcurrentReads)
	t.Run("a cancelled read ends", h.testCancelledRead)
	t.Run("closing leaves nothing running", h.testCloseEndsGoroutines)
}

func (h readingTests) testRanges(t *testing.T) {
	bounds := append([]int64{4 << 10, 64 << 10, 128 << 10, 1 << 20}, h.Boundaries...)
	size := int64(0)
	for _, b := range bounds {
		size = max(size, 2*b+12_345)
	}
	content := randomContent(int(size), 1)
	h.Put(t, "ranges/file", content)
	s := h.openDirect(t)
	entry := h.listOneFile(t, s, "ranges/file")
	wanted := [][2]int64{{0, size}}
	if !entry.NoRanges {
		wanted = append(wanted, [2]int64{0, 1}, [2]int64{1, size - 1}, [2]int64{size - 1, 1}, [2]int64{size / 2, 1})
		for _, b := range bounds {
			wanted = append(wanted, [2]int64{b - 1, 1}, [2]int64{b, 1}, [2]int64{b - 1, 2}, [2]int64{b - 100, 200}, [2]int64{0, b},
				[2]int64{b, b}, [2]int64{b, size - b})
		}
	}
	for _, r := range wanted {
		if got := readRange(t, s, entry, r[0], r[1]); !bytes.Equal(got, content[r[0]:r[0]+r[1]]) {
			t.Errorf("range %v has other bytes", r)
		}
	}
}

func (h readingTests) testRangeBeyondEnd(t *testing.T) {
	h.Put(t, "beyond/file", randomContent(10_000, 1))
	s := h.openDirect(t)
	entry := h.listOneFile(t, s, "beyond/file")
	if entry.NoRanges {
		return
	}
	for _, r := range [][2]int64{{9_999, 2}, {0, 10_001}, {10_000, 1}, {20_000, 10}} {
		got, err := tryRead(t.Context(), s, entry, r[0], r[1])
		isOneOf(t, fmt.Sprintf("range %v of 10000 bytes, which gave %d", r, len(got)), err, classes...)
	}
}

// readers is how many goroutines read at the same time.
const readers = 16

func (h readingTests) testConcurrentReads(t *testing.T) {
	const size = 700_001
	files := map[string][]byte{}
	for i := range 4 {
		files[fmt.Sprintf("f%d", i)] = randomContent(size, byte(i))
	}
	for name, content := range files {
		h.Put(t, "concurrent/"+name, content)
	}
	s := h.openDirect(t)
	entries := h.listEntries(t, s, "concurrent/")
	var all sync.WaitGroup
	for i := range readers {
		all.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			for range 12 {
				entry := entries[random.IntN(len(entries))]
				offset, length := int64(0), int64(size)
				if !entry.NoRanges {
					offset = random.Int64N(size)
					length = 1 + random.Int64N(size-offset)
				}
				got, err := tryRead(t.Context(), s, entry, offset, length)
				if err != nil {
					t.Errorf("reading %s: %v", entry.Path, err)
				} else if !bytes.Equal(got, files[entry.Path][offset:offset+length]) {
					t.Errorf("%d bytes of %s from %d on are others", length, entry.Path, offset)
				}
			}
			if err := h.listError(t.Context(), s, "concurrent/"); err != nil {
				t.Errorf("listing: %v", err)
			}
		})
	}
	all.Wait()
}

func (h readingTests) testCancelledRead(t *testing.T) {
	h.Put(t, "cancelled/file", randomContent(8<<20, 1))
	s := h.openDirect(t)
	entry := h.listOneFile(t, s, "cancelled/file")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := runPromptly(t, func() error {
		body, err := s.Open(ctx, entry, 0, entry.Size)
		if err != nil {
			return err
		}
		defer body.Close()
		if _, err := io.ReadFull(body, make([]byte, 1000)); err != nil {
			return err
		}
		cancel()
		_, err = io.Copy(io.Discard, body)
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("reading: got %v", err)
	}
	if err := h.listError(ctx, s, "cancelled/file"); !errors.Is(err, context.Canceled) {
		t.Errorf("listing: got %v", err)
	}
	if _, err := tryRead(ctx, s, entry, 0, entry.Size); !errors.Is(err, context.Canceled) {
		t.Errorf("opening: got %v", err)
	}
}

// testCloseEndsGoroutines compares the number of goroutines, as far as nothing else runs.
func (h readingTests) testCloseEndsGoroutines(t *testing.T) {
	h.Put(t, "closing/file", randomContent(1<<20, 1))
	before := runtime.NumGoroutine()
	s := h.openDirect(t)
	entry := h.listOneFile(t, s, "closing/file")
	body, err := s.Open(t.Context(), entry, 0, entry.Size)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(body, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	body.Close() // in the middle of the file
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	}
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for runtime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines are left, %d were there before:\n%s", runtime.NumGoroutine(), before,
				stacks[:runtime.Stack(stacks, true)])
		}
		<-tick.C
	}
}
