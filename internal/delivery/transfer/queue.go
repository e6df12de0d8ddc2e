// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"slices"
	"sync"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/digest"
)

// laneClass is one of the two classes of connections of a delivery: wide ones
// move ranges, and small ones files that fit into one small buffer.
type laneClass int

const (
	wide laneClass = iota
	small
	laneClasses
)

// lane is how many connections of a class there are.
type lane struct {
	workers int  // how many there are
	width   int  // how many may be busy
	active  int  // how many are
	starved bool // a worker found nothing to do since the last look
}

// waiting is a file that waits for its turn: its place in the roll, or the file
// itself where an earlier writer left a part of it.
type waiting struct {
	at    int
	begun *file
}

// queue hands out spans in the order of the listing. It holds the places of files
// in the roll, makes the files when their turn comes, and cuts their ranges when
// they are asked for.
type queue struct {
	rangeBytes int64
	hedgeBytes int64 // see hedgeBudget

	mu      sync.Mutex
	change  sync.Cond
	open    func(at int) *file
	small   []waiting
	large   []waiting
	first   *file // large[0], once its turn came
	block   int   // of first
	closed  bool
	dropped bool

	lanes   [laneClasses]lane
	usual   [laneClasses]usual // of spans
	running map[*span]struct{}

	lagging     []*span // to be asked for again by the next worker that can
	hedgedBytes int64
}

// newQueue returns an empty queue; the widths are for a start.
func newQueue(rangeBytes int64, wideWidth, smallWidth int) *queue {
	q := &queue{rangeBytes: rangeBytes, hedgeBytes: rangeBytes, running: map[*span]struct{}{}}
	q.lanes[wide].width, q.lanes[small].width = wideWidth, smallWidth
	q.change.L = &q.mu
	return q
}

func (q *queue) addFiles(files []*file) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, f := range files {
		next := waiting{at: f.at}
		if f.begun {
			next.begun = f
		}
		if f.entry.Size <= smallBytes {
			q.small = append(q.small, next)
		} else {
			q.large = append(q.large, next)
		}
	}
	q.change.Broadcast()
}

// close tells that nothing follows. With drop, what is left is dropped too.
func (q *queue) close(drop bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.dropped = q.dropped || drop
	q.change.Broadcast()
}

// awaitWork waits until a lane has more to do than its workers can, and returns its class
// for one more of them; false once there is nothing left to wait for.
func (q *queue) awaitWork() (laneClass, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if q.dropped || q.isFinished() {
			return 0, false
		}
		for class := range q.lanes {
			l := &q.lanes[class]
			if l.workers < l.width && q.hasWork(laneClass(class), l.workers-l.active) {
				l.workers++
				return laneClass(class), true
			}
		}
		q.change.Wait()
	}
}

// hasWork reports whether there is more to do than so many idle workers of a class can.
func (q *queue) hasWork(class laneClass, idle int) bool {
	return len(q.small)+len(q.lagging) > idle || class == wide && len(q.large) > 0
}

// nextSpan waits for a span to read. A small worker gets small files only; a wide
// one gets them when there is nothing larger. With nothing left to begin, a
// worker may get what lags behind on another connection.
func (q *queue) nextSpan(class laneClass) (*span, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := &q.lanes[class]
	for {
		if q.dropped {
			return nil, false
		}
		if l.active < l.width {
			if s := q.takeSpan(class); s != nil {
				s.holders++
				l.active++
				return s, true
			}
			l.starved = true
		}
		if q.isFinished() {
			return nil, false
		}
		q.change.Wait()
	}
}

// isFinished reports whether nothing is left to do or to help with.
func (q *queue) isFinished() bool {
	return q.closed && len(q.small) == 0 && len(q.large) == 0 && len(q.running) == 0
}

func (q *queue) takeSpan(class laneClass) *span {
	s := q.takeLagging(class)
	if s != nil {
		return s
	}
	if class == wide {
		s = q.nextRange()
	}
	if s == nil && len(q.small) > 0 {
		f := q.open(q.small[0].at)
		q.small = q.small[1:]
		s = &span{file: f, length: f.entry.Size}
	}
	if s != nil {
		s.began = time.Now()
		q.running[s] = struct{}{}
		return s
	}
	return nil
}

// takeLagging returns a span that is to be asked for again, nil if there is none for the
// class.
func (q *queue) takeLagging(class laneClass) *span {
	for i, s := range q.lagging {
		if class == wide || s.sizeClass() == small {
			q.lagging = slices.Delete(q.lagging, i, i+1)
			return s
		}
	}
	return nil
}

// nextRange cuts the next run of missing blocks off the first large file.
func (q *queue) nextRange() *span {
	for len(q.large) > 0 {
		if q.first == nil {
			if q.first = q.large[0].begun; q.first == nil {
				q.first = q.open(q.large[0].at)
			}
		}
		f := q.first
		if !f.supportsRanges() {
			q.pop()
			return &span{file: f, length: f.entry.Size}
		}
		count := digest.BlockCount(f.entry.Size)
		for q.block < count && f.have[q.block] {
			q.block++
		}
		first := q.block
		for q.block < count && !f.have[q.block] && int64(q.block-first)*digest.BlockSize < q.rangeBytes &&
			(q.block == first || f.begins[q.block] == nil) {
			q.block++
		}
		offset := int64(first) * digest.BlockSize
		length := min(int64(q.block)*digest.BlockSize, f.entry.Size) - offset
		if q.block >= count {
			q.pop()
		}
		if length > 0 {
			s := &span{file: f, offset: offset, length: length}
			if b := f.begins[first]; b != nil {
				s.position, s.block = b.bytes, &b.sums
			}
			return s
		}
	}
	return nil
}

func (q *queue) pop() {
	q.large[0].begun, q.large, q.first, q.block = nil, q.large[1:], nil, 0
}

// releaseSpan gives a span back.
func (q *queue) releaseSpan(class laneClass, s *span) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lanes[class].active--
	if s.holders--; s.holders > 0 {
		return
	}
	delete(q.running, s)
	if s.hedged {
		if i := slices.Index(q.lagging, s); i >= 0 {
			q.lagging = slices.Delete(q.lagging, i, i+1)
		}
	} else {
		q.usual[s.sizeClass()].addDuration(time.Since(s.began))
	}
	if q.isFinished() {
		q.change.Broadcast()
	}
}

// isSaturated reports whether all connections of a lane were busy since the last
// call, as far as the queue could give them something.
func (q *queue) isSaturated(class laneClass) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := &q.lanes[class]
	starved := l.starved
	l.starved = false
	return !starved && l.active == l.width
}

// setWidth sets how many connections of a lane may be busy.
func (q *queue) setWidth(class laneClass, width int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := &q.lanes[class]
	if width > l.width {
		defer q.change.Broadcast()
	}
	l.width = width
}

// currentWidth returns how many connections of a lane may be busy.
func (q *queue) currentWidth(class laneClass) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lanes[class].width
}

// shortenRanges sets how long ranges are from now on.
func (q *queue) shortenRanges(rangeBytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rangeBytes = rangeBytes
}

// hedgeLagging offers what lags to the next workers, the oldest first: at the end every
// span that takes much longer than others; before that ranges of which not a byte came, and
// small files, where first says how long that usually takes. total is how large the delivery
// is.
func (q *queue) hedgeLagging(now time.Time, total int64, first [laneClasses]time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	late := q.findLagging(now, first)
	slices.SortFunc(late, func(a, b *span) int { return a.began.Compare(b.began) })
	for _, s := range late {
		left := s.length - s.currentPosition()
		if left == 0 || left > hedgeBudget(total, q.hedgeBytes)-q.hedgedBytes {
			continue
		}
		q.hedgedBytes += left
		s.hedged = true
		q.lagging = append(q.lagging, s)
	}
	if len(q.lagging) > 0 {
		q.change.Broadcast()
	}
}

// findLagging returns the spans that are to be asked for again.
func (q *queue) findLagging(now time.Time, first [laneClasses]time.Duration) (late []*span) {
	atEnd := q.closed && len(q.small) == 0 && len(q.large) == 0
	usually := [...]time.Duration{wide: q.usual[wide].medianDuration(), small: q.usual[small].medianDuration()}
	for s := range q.running {
		if s.hedged || !s.file.supportsRanges() {
			continue
		}
		class, moved, age := s.sizeClass(), s.currentPosition(), now.Sub(s.began)
		silent := class == wide && !s.isAnswered() && isSilent(age, first[wide])
		if class == small && first[small] > 0 && usually[small] > 0 {
			silent = moved == 0 && isSilent(age, max(first[small], usually[small]))
		}
		if silent || atEnd && isLagging(age, usually[class], moved, s.length-moved) {
			late = append(late, s)
		}
	}
	return late
}
