// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"sync"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/source"
)

// span is a part of a file that one request reads: a range, or all of it. When
// the request lags behind the others, the rest is asked for a second time, on
// another connection. Then two readers supply the same bytes of the same object,
// and the span takes each byte from the one that has it first: it is written
// once, in order, and hashed once.
type span struct {
	file   *file
	offset int64
	length int64

	// Guarded by the queue's lock: who reads, since when, and whether a second
	// reader was let in.
	holders int
	began   time.Time
	hedged  bool // or offered for that

	mu       sync.Mutex
	ctx      context.Context
	cancel   context.CancelFunc
	readers  int
	answered bool  // the source began to send
	position int64 // bytes from offset on that are on the disk, or claimed
	block    *blockSums
}

// blockSums hash the block that a span is at.
type blockSums struct {
	xxh3 digest.Block
	crc  uint64
}

// blockBegin is the part of a block that an earlier writer brought to the disk.
type blockBegin struct {
	bytes int64
	sums  blockSums // of them
}

// sizeClass is small where the span is read into one buffer and written at once.
func (s *span) sizeClass() laneClass { return sizeClass(s.file.entry) }

func sizeClass(e source.Entry) laneClass {
	if e.Size <= smallBytes {
		return small
	}
	return wide
}

// addReader lets a reader in. Its context ends as soon as the span needs it no more.
func (s *span) addReader(ctx context.Context) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx == nil {
		s.ctx, s.cancel = context.WithCancel(ctx)
	}
	s.readers++
	return s.ctx
}

// removeReader ends a reader that failed with err, and returns what of it counts. last
// tells that the reader brought the span to its end; the other one is cancelled
// then, and fails because of it. While the other one still reads, a failure is
// of no consequence.
func (s *span) removeReader(last bool, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readers--
	complete := s.position == s.length
	if complete || s.readers == 0 {
		s.cancel()
	}
	if last || (!complete && s.readers == 0) {
		return err
	}
	return nil
}

// claimWhole claims all of a span that is read as a whole, and reports whether the caller
// is the first.
func (s *span) claimWhole() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.position == s.length && s.length > 0 {
		return false
	}
	s.position = s.length
	return true
}

// resetPosition forgets what was read, and returns how much that was.
func (s *span) resetPosition() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	moved := s.position
	s.position, s.block = 0, nil
	s.file.check.resetSum()
	return moved
}

// markAnswered tells that the source began to send.
func (s *span) markAnswered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answered = true
}

// isAnswered reports whether the source began to send.
func (s *span) isAnswered() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answered
}

// currentPosition is how far the span is, in bytes from its offset on.
func (s *span) currentPosition() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.position
}
