// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/sourcetest"
)

func TestOnlyWhatLagsIsAskedForAgain(t *testing.T) {
	const usually = 100 * time.Millisecond
	for name, test := range map[string]struct {
		age         time.Duration
		median      time.Duration
		moved, left int64
		want        bool
	}{
		"nothing is known yet":       {age: time.Hour, left: 1},
		"as quick as others":         {age: usually, median: usually, moved: 5, left: 5},
		"a little slower":            {age: 3 * usually, median: usually, moved: 5, left: 5},
		"stalled in the middle":      {age: 6 * usually, median: usually, moved: 5, left: 5, want: true},
		"not a byte came":            {age: 6 * usually, median: usually, left: 10, want: true},
		"slow, but nearly done":      {age: 6 * usually, median: usually, moved: 1000, left: 1},
		"done, and being checked":    {age: 6 * usually, median: usually, moved: 10},
		"a slow source, all alike":   {age: 90 * time.Second, median: time.Minute, moved: 5, left: 5},
		"a slow source, one stalled": {age: 4 * time.Minute, median: time.Minute, moved: 5, left: 5, want: true},
	} {
		if got := isLagging(test.age, test.median, test.moved, test.left); got != test.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestOnlyWhatIsSilentLongerThanUsualIsAskedForAgain(t *testing.T) {
	const first = 100 * time.Millisecond
	for name, test := range map[string]struct {
		age, first time.Duration
		want       bool
	}{
		"nothing is known":      {age: time.Hour},
		"as quick as others":    {age: first, first: first},
		"three times as slow":   {age: 3 * first, first: first},
		"silent":                {age: 6 * first, first: first, want: true},
		"near, and a hiccup":    {age: 200 * time.Millisecond, first: time.Millisecond},
		"near, and still quiet": {age: 300 * time.Millisecond, first: time.Millisecond, want: true},
	} {
		if got := isSilent(test.age, test.first); got != test.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

// takeSpans returns a queue with count spans of small files that were taken, the first one
// longest ago.
func takeSpans(t *testing.T, count int) (*queue, []*span, time.Time) {
	t.Helper()
	q := newQueue(16<<20, 4, count)
	q.open = func(at int) *file {
		return &file{at: at, entry: source.Entry{Size: 1000, Identity: `"e"`}}
	}
	var files []*file
	for i := range count + 5 {
		files = append(files, &file{at: i, entry: source.Entry{Size: 1000, Identity: `"e"`}})
	}
	q.addFiles(files)
	now := time.Now()
	var taken []*span
	for i := range count {
		s, ok := q.nextSpan(small)
		if !ok {
			t.Fatal("there is no span")
		}
		s.began = now.Add(time.Duration(i-count) * time.Second)
		q.usual[small].addDuration(time.Millisecond)
		taken = append(taken, s)
	}
	return q, taken, now
}

func TestSilentRequestsAreAskedForAgainBeforeTheEnd(t *testing.T) {
	q, taken, now := takeSpans(t, 6)
	q.hedgeLagging(now, 1<<30, [...]time.Duration{small: 900 * time.Millisecond})
	// Those that are silent for more than 2.95 s, the oldest first; each once.
	want := taken[:4]
	q.hedgeLagging(now, 1<<30, [...]time.Duration{small: 900 * time.Millisecond})
	if len(q.lagging) != len(want) {
		t.Fatalf("%d are asked for again, want %d", len(q.lagging), len(want))
	}
	q.setWidth(small, 100)
	for i, s := range want {
		if got, ok := q.nextSpan(small); !ok || got != s {
			t.Errorf("number %d is another one", i)
		}
	}
	if s, ok := q.nextSpan(small); !ok || s.hedged {
		t.Error("after them a new one does not follow")
	}
}

func TestARangeWhoseBytesComeIsNotTakenForSilent(t *testing.T) {
	q := newQueue(8<<20, 4, 1)
	q.open = func(int) *file {
		return &file{entry: source.Entry{Size: 32 << 20, Identity: `"e"`}, have: make([]bool, 4)}
	}
	q.addFiles([]*file{{entry: source.Entry{Size: 32 << 20}}})
	now := time.Now()
	var taken []*span
	for range 4 {
		s, ok := q.nextSpan(wide)
		if !ok {
			t.Fatal("there is no span")
		}
		s.began = now.Add(-time.Minute)
		taken = append(taken, s)
	}
	for _, s := range taken[1:] {
		s.markAnswered()
	}
	q.hedgeLagging(now, 1<<30, [...]time.Duration{wide: time.Second, small: 0})
	if len(q.lagging) != 1 || q.lagging[0] != taken[0] {
		t.Errorf("%d ranges are asked for again, want the silent one", len(q.lagging))
	}
}

func TestThereIsNoMoreAskedForAgainThanTheBudgetAllows(t *testing.T) {
	q, _, now := takeSpans(t, 50)
	q.hedgeBytes = 10_000
	q.hedgeLagging(now, 1, [...]time.Duration{small: time.Millisecond})
	if len(q.lagging) != 10 {
		t.Errorf("%d requests of 1000 bytes are made again with a budget of 10,000", len(q.lagging))
	}
}

func TestASpanThatEndsIsNotAskedForAgain(t *testing.T) {
	q, taken, now := takeSpans(t, 3)
	q.hedgeLagging(now, 1<<30, [...]time.Duration{small: time.Millisecond})
	q.releaseSpan(small, taken[0])
	if got, ok := q.nextSpan(small); !ok || got != taken[1] {
		t.Error("what ended is asked for again")
	}
}

func TestTheMedianIsOfTheLastOnes(t *testing.T) {
	var u usual
	if u.medianDuration() != 0 {
		t.Error("there is one of nothing")
	}
	for range 100 {
		u.addDuration(time.Hour)
	}
	for i := range len(u.last) {
		u.addDuration(time.Duration(i) * time.Second)
	}
	if got := u.medianDuration(); got != 16*time.Second {
		t.Errorf("got %v", got)
	}
}

func TestASmallDeliveryMayAskForOneRangeAgain(t *testing.T) {
	if got := hedgeBudget(1<<30, 16<<20); got != 1<<30/20 {
		t.Errorf("got %d", got)
	}
	if got := hedgeBudget(1<<20, 16<<20); got != 16<<20 {
		t.Errorf("got %d", got)
	}
}

// patient makes what is asked for again the second reader's, and not a retry of
// the first one's. A file of 32 MiB has four ranges.
func patient(b *bench) {
	b.engine.options.Stall = time.Hour
	b.engine.options.RangeBytes = 8 << 20
}

// tail reports whether a request is for the last range of 32 MiB, or the rest of it.
func tail(r *http.Request) bool { return strings.HasSuffix(r.Header.Get("Range"), "-33554431") }

// stallOnce lets the first body that matches stall after some of its bytes,
// until the client goes away.
func stallOnce(b *bench, after int, match func(r *http.Request) bool) *atomic.Int64 {
	var stalled atomic.Int64
	b.server.Misbehave(sourcetest.Manners{}, func(w http.ResponseWriter, r *http.Request) bool {
		if !isBody(r) || !match(r) || !stalled.CompareAndSwap(0, 1) {
			return false
		}
		b.server.Misbehave(sourcetest.Manners{}, nil)
		b.server.ServeHTTP(&stallingWriter{ResponseWriter: w, left: after, gone: r.Context().Done()}, r)
		return true
	})
	return &stalled
}

type stallingWriter struct {
	http.ResponseWriter
	left int
	gone <-chan struct{}
}

func (w *stallingWriter) Write(p []byte) (int, error) {
	if w.left < len(p) {
		n, _ := w.ResponseWriter.Write(p[:w.left])
		w.left = 0
		_ = http.NewResponseController(w.ResponseWriter).Flush()
		<-w.gone
		return n, http.ErrHandlerTimeout
	}
	w.left -= len(p)
	return w.ResponseWriter.Write(p)
}

// A connection that stalls at the end must not hold up the rest until the
// watchdog bites.
func TestAConnectionThatStallsAtTheEndIsNotWaitedFor(t *testing.T) {
	for name, test := range map[string]struct {
		after int
		match func(r *http.Request) bool
	}{
		"range, in the middle of a block": {3<<20 + 17, tail},
		"range, before the first byte":    {0, tail},
		"small file":                      {5, func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "small") }},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			patient(b)
			content := noise(5, 32<<20)
			b.server.Put("tree/file", content)
			b.server.Put("tree/small", content[:5000])
			b.server.Put("tree/other", content[:7000])
			stalled := stallOnce(b, test.after, test.match)
			result := b.mustDeliver(t, b.key("tree/", "1"))
			if stalled.Load() != 1 {
				t.Fatal("nothing stalled")
			}
			got := files(t, result.Lease)
			if got["file"] != string(content) || got["small"] != string(content[:5000]) {
				t.Error("the bytes are others")
			}
			if err := b.store.Verify(t.Context(), result.Lease.ID(), true); err != nil {
				t.Errorf("verifying: %v", err)
			}
			size := int64(len(content) + 12000)
			if more := result.Received - size; more < 0 || more > 8<<20 {
				t.Errorf("%d bytes were received for %d", result.Received, size)
			}
		})
	}
}

// Both readers of a range may be quick: each byte must be written once all the
// same, and the digest be right.
func TestTwoReadersOfARangeWriteItOnce(t *testing.T) {
	b := newBench(t)
	patient(b)
	content := noise(5, 32<<20)
	b.server.Put("file", content)
	// The first one goes on once the second one is under way.
	var asked atomic.Int64
	second := make(chan struct{})
	b.server.Misbehave(sourcetest.Manners{}, func(w http.ResponseWriter, r *http.Request) bool {
		if !isBody(r) || !tail(r) {
			return false
		}
		switch asked.Add(1) {
		case 1:
			select {
			case <-second:
			case <-r.Context().Done():
			}
		case 2:
			close(second)
		}
		return false
	})
	result := b.mustDeliver(t, b.key("file", "1"))
	if asked.Load() != 2 {
		t.Fatalf("the last range was asked for %d times", asked.Load())
	}
	if files(t, result.Lease)[snapshot.FileName] != string(content) {
		t.Error("the bytes are others")
	}
	if err := b.store.Verify(t.Context(), result.Lease.ID(), true); err != nil {
		t.Errorf("verifying: %v", err)
	}
}

// When the second reader fails, the first one must still be waited for.
func TestAFailureOfTheSecondReaderIsOfNoConsequence(t *testing.T) {
	b := newBench(t)
	patient(b)
	content := noise(5, 32<<20)
	b.server.Put("file", content)
	var asked atomic.Int64
	refused := make(chan struct{})
	b.server.Misbehave(sourcetest.Manners{}, func(w http.ResponseWriter, r *http.Request) bool {
		if !isBody(r) || !tail(r) {
			return false
		}
		switch asked.Add(1) {
		case 1:
			select {
			case <-refused:
			case <-r.Context().Done():
			}
		case 2:
			w.WriteHeader(http.StatusForbidden)
			close(refused)
			return true
		}
		return false
	})
	result := b.mustDeliver(t, b.key("file", "1"))
	if asked.Load() != 2 || files(t, result.Lease)[snapshot.FileName] != string(content) {
		t.Errorf("the last range was asked for %d times", asked.Load())
	}
}
