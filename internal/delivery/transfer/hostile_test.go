// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/source"
)

// hostile is a driver that does what its functions do.
type hostile struct {
	entries []source.Entry
	list    func(yield func(source.Entry, error) bool)
	open    func(e source.Entry, offset, length int64) (io.ReadCloser, error)
}

func (h *hostile) Identity() string { return "hostile://driver" }
func (h *hostile) Close() error     { return nil }

func (h *hostile) List(context.Context, string) iter.Seq2[source.Entry, error] {
	return func(yield func(source.Entry, error) bool) {
		if h.list != nil {
			h.list(yield)
			return
		}
		for _, e := range h.entries {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (h *hostile) Open(_ context.Context, e source.Entry, offset, length int64) (io.ReadCloser, error) {
	if h.open != nil {
		return h.open(e, offset, length)
	}
	return io.NopCloser(strings.NewReader(strings.Repeat("x", int(length)))), nil
}

func entryOf(path string, size int64) source.Entry {
	return source.Entry{Path: path, Key: path, Size: size, Identity: `"1"`}
}

// reads does what a function does when it is read from.
type reads func(p []byte) (int, error)

func (r reads) Read(p []byte) (int, error) { return r(p) }

func reading(r reads) func(source.Entry, int64, int64) (io.ReadCloser, error) {
	return func(source.Entry, int64, int64) (io.ReadCloser, error) { return io.NopCloser(r), nil }
}

var hostileDrivers = map[string]*hostile{
	"a negative size":              {entries: []source.Entry{entryOf("a", -1)}},
	"the least size":               {entries: []source.Entry{entryOf("a", math.MinInt64)}},
	"the greatest size":            {entries: []source.Entry{entryOf("a", math.MaxInt64)}},
	"a size beyond any disk":       {entries: []source.Entry{entryOf("a", 1<<49)}},
	"sizes that overflow together": {list: enormous(1 << 49)},
	"a link with bytes":            {entries: []source.Entry{{Path: "a", Link: "b", Size: 3}}},
	"the item beside a file":       {entries: []source.Entry{entryOf("a", 1), entryOf("", 1)}},
	"a file beside the item":       {entries: []source.Entry{entryOf("", 1), entryOf("a", 1)}},
	"the item twice":               {entries: []source.Entry{entryOf("", 1), entryOf("", 1)}},
	"an absolute path":             {entries: []source.Entry{entryOf("/etc/passwd", 1)}},
	"a path that leaves":           {entries: []source.Entry{entryOf("../a", 1)}},
	"a path with a zero":           {entries: []source.Entry{entryOf("a\x00b", 1)}},
	"a path without bounds":        {entries: []source.Entry{entryOf(strings.Repeat("a", 1<<20), 1)}},
	"an identity without bounds":   {entries: []source.Entry{{Path: "a", Size: 1, Identity: source.Identity(strings.Repeat("a", 1<<20))}}},
	"an identity of two lines":     {entries: []source.Entry{{Path: "a", Size: 1, Identity: "a\nb"}}},
	"a checksum that is none":      {entries: []source.Entry{{Path: "a", Size: 1, Identity: `"1"`, Checksum: "sha256:xyz"}}},
	"a path twice, differently":    {entries: []source.Entry{entryOf("a", 1), entryOf("a", 2)}},
	"one path for ever":            {list: forever},
	"a panic in a listing":         {list: func(func(source.Entry, error) bool) { panic("list") }},
	"a panic after an entry":       {list: func(yield func(source.Entry, error) bool) { yield(entryOf("a", 1), nil); panic("list") }},
	"entries after an error": {list: func(yield func(source.Entry, error) bool) {
		yield(source.Entry{}, io.EOF)
		yield(entryOf("a", 1), nil)
	}},
	"an error without a class": {list: func(yield func(source.Entry, error) bool) { yield(source.Entry{}, errors.New("some")) }},
	"a panic in Open": {entries: []source.Entry{entryOf("a", 1)},
		open: func(source.Entry, int64, int64) (io.ReadCloser, error) { panic("open") }},
	"no body": {entries: []source.Entry{entryOf("a", 1)},
		open: func(source.Entry, int64, int64) (io.ReadCloser, error) { return nil, nil }},
	"a panic in Read": {entries: []source.Entry{entryOf("a", 1)}, open: reading(func([]byte) (int, error) { panic("read") })},
	"a panic in Read, large": {entries: []source.Entry{entryOf("a", 20<<20)},
		open: reading(func([]byte) (int, error) { panic("read") })},
	"a body that ends early": {entries: []source.Entry{entryOf("a", 10)},
		open: reading(func([]byte) (int, error) { return 0, io.EOF })},
	"a body that goes on": {entries: []source.Entry{entryOf("a", 10)},
		open: reading(func(p []byte) (int, error) { return len(p), nil })},
	"a body of nothing, for ever": {entries: []source.Entry{entryOf("a", 10)}, open: reading(func([]byte) (int, error) { return 0, nil })},
	"more bytes than there is room": {entries: []source.Entry{entryOf("a", 10)},
		open: reading(func(p []byte) (int, error) { return len(p) + 1, nil })},
	"fewer bytes than none": {entries: []source.Entry{entryOf("a", 10)}, open: reading(func([]byte) (int, error) { return -1, nil })},
}

func enormous(size int64) func(func(source.Entry, error) bool) {
	return func(yield func(source.Entry, error) bool) {
		for i := range 1 << 20 {
			if !yield(entryOf(strings.Repeat("a", i%200+1)+"/"+string(rune('a'+i%26)), size), nil) {
				return
			}
		}
	}
}

func forever(yield func(source.Entry, error) bool) {
	for yield(entryOf("a", 1), nil) {
	}
}

// Whatever a driver does ends as an error of the item that has a class, or says
// what is wrong with a name; the process lives, and the engine's buffers too.
func TestWhateverADriverDoesIsAFailureOfItsItemOnly(t *testing.T) {
	for name, driver := range hostileDrivers {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.engine.options.Stall = 2 * time.Second
			key := snapshot.Key{Source: driver.Identity(), Path: "item", Version: "1"}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := b.engine.Deliver(t.Context(), NewRequest(driver, key, nil))
			runtime.ReadMemStats(&after)
			var classed *source.Error
			var path *source.InvalidPathError
			var room *store.InsufficientSpaceError
			if !errors.As(err, &classed) && !errors.As(err, &path) && !errors.As(err, &room) {
				t.Errorf("got %v", err)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > 64<<20 {
				t.Errorf("it took %d bytes of memory", took)
			}
			// The same engine still serves others.
			b.server.Put("file", noise(1, 1<<20))
			if _, err := b.deliver(t.Context(), b.key("file", "1")); err != nil {
				t.Errorf("the next item: %v", err)
			}
		})
	}
}

func TestAPanicIsReportedWithItsPlace(t *testing.T) {
	b := newBench(t)
	driver := hostileDrivers["a panic in Open"]
	_, err := b.engine.Deliver(t.Context(), NewRequest(driver, snapshot.Key{Source: driver.Identity(), Path: "item", Version: "1"}, nil))
	fault, ok := errors.AsType[*source.PanicError](err)
	if !ok || !strings.Contains(err.Error(), "hostile_test.go:") || !strings.Contains(fault.Stack, "hostile_test.go") {
		t.Errorf("got %v", err)
	}
}

// A fault of one file is asked for only when the file is wanted.
func TestAFileThatCannotBeDeliveredMayBeExcluded(t *testing.T) {
	b := newBench(t)
	fault := &source.Error{Op: "testing", Class: source.ErrMisconfigured}
	driver := &hostile{entries: []source.Entry{entryOf("a", 1), {Path: "pipe", Fault: fault}}}
	key := snapshot.Key{Source: driver.Identity(), Path: "item", Version: "1"}
	if _, err := b.engine.Deliver(t.Context(), NewRequest(driver, key, nil)); !errors.Is(err, source.ErrMisconfigured) {
		t.Errorf("got %v", err)
	}
	key.Exclude = []string{"pipe"}
	result, err := b.engine.Deliver(t.Context(), NewRequest(driver, key, nil))
	if err != nil {
		t.Fatal(err)
	}
	closeLease(t, result.Lease)
}

func TestAFileThatIsListedTwiceIsTakenOnce(t *testing.T) {
	b := newBench(t)
	driver := &hostile{entries: []source.Entry{entryOf("a", 1), entryOf("b", 1), entryOf("b", 1), entryOf("a", 1)}}
	result, err := b.engine.Deliver(t.Context(), NewRequest(driver, snapshot.Key{Source: driver.Identity(), Path: "item", Version: "1"}, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer closeLease(t, result.Lease)
	if m := result.Lease.Manifest(); len(m.Entries) != 2 || m.Bytes != 2 {
		t.Errorf("got %d files of %d bytes", len(m.Entries), m.Bytes)
	}
}

func TestANoteIsMadeOnce(t *testing.T) {
	var said bytes.Buffer
	note := onceEach(func(text string) { said.WriteString(text) })
	for range 3 {
		note("a")
		note("b")
	}
	if said.String() != "ab" || onceEach(nil) != nil {
		t.Errorf("said %q", said.String())
	}
}

// The limit is said before the kernel says it.
func TestMoreFilesThanThereIsMemoryForAreRefusedInWords(t *testing.T) {
	b := newBench(t)
	b.engine.crowd.most, b.engine.crowd.memory = 2, 256<<20
	driver := &hostile{entries: []source.Entry{entryOf("a", 1), entryOf("b", 1), entryOf("b", 1), entryOf("out", 1)}}
	key := snapshot.Key{Source: driver.Identity(), Path: "item", Version: "1"}
	if _, err := b.engine.Deliver(t.Context(), NewRequest(driver, key, nil)); !errors.Is(err, source.ErrMisconfigured) ||
		!strings.Contains(err.Error(), "more than 2 files") ||
		!strings.Contains(err.Error(), "256.0 MiB") {
		t.Errorf("got %v", err)
	}
	key.Exclude = []string{"out"}
	result, err := b.engine.Deliver(t.Context(), NewRequest(driver, key, nil))
	if err != nil {
		t.Fatal(err)
	}
	closeLease(t, result.Lease)
	if left := b.engine.crowd.now.Load(); left != 0 {
		t.Errorf("%d files are counted after all deliveries", left)
	}
	long := entryOf("a", 1)
	long.Key = strings.Repeat("k", 2*textOfOne)
	driver.entries = []source.Entry{long}
	key.Version = "2"
	if _, err := b.engine.Deliver(t.Context(), NewRequest(driver, key, nil)); !errors.Is(err, source.ErrMisconfigured) {
		t.Errorf("a file with long texts: got %v", err)
	}
}

// Items that are each small enough, but not together, come one after the other.
func TestItemsThatAreTooManyFilesTogetherComeAgainLater(t *testing.T) {
	b := newBench(t)
	b.engine.crowd.most = 3
	b.engine.crowd.now.Store(2) // of another delivery
	driver := &hostile{entries: []source.Entry{entryOf("a", 1), entryOf("b", 1)}}
	key := snapshot.Key{Source: driver.Identity(), Path: "item", Version: "1"}
	if _, err := b.engine.Deliver(t.Context(), NewRequest(driver, key, nil)); !errors.Is(err, source.ErrTemporary) {
		t.Errorf("got %v", err)
	}
	b.engine.crowd.releaseWeight(2)
	result, err := b.engine.Deliver(t.Context(), NewRequest(driver, key, nil))
	if err != nil {
		t.Fatal(err)
	}
	closeLease(t, result.Lease)
}
