// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"sync"

	"github.com/kuda-io/kuda/internal/delivery/digest"
)

// task is a range of a file that one request reads.
type task struct {
	file   *file
	offset int64
	length int64
	moved  int64 // bytes that are on the disk
}

// queue hands out tasks in the order of the listing. It holds files, which the
// manifest needs anyway, and cuts their ranges when they are asked for.
type queue struct {
	rangeBytes int64

	mu     sync.Mutex
	change sync.Cond
	small  []*file
	large  []*file
	block  int // of large[0]
	closed bool
}

func newQueue(rangeBytes int64) *queue {
	q := &queue{rangeBytes: rangeBytes}
	q.change.L = &q.mu
	return q
}

func (q *queue) add(files []*file) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, f := range files {
		if f.entry.Size <= smallBytes {
			q.small = append(q.small, f)
		} else {
			q.large = append(q.large, f)
		}
	}
	q.change.Broadcast()
}

// close tells that nothing follows. With drop, what is left is dropped too.
func (q *queue) close(drop bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	if drop {
		q.small, q.large = nil, nil
	}
	q.change.Broadcast()
}

// next waits for a task. A small worker gets small files only; a wide one gets
// them when there is nothing larger.
func (q *queue) next(wide bool) (task, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if wide {
			if t, ok := q.nextRange(); ok {
				return t, true
			}
		}
		if len(q.small) > 0 {
			f := q.small[0]
			q.small[0], q.small = nil, q.small[1:]
			return task{file: f, length: f.entry.Size}, true
		}
		if q.closed && (!wide || len(q.large) == 0) {
			return task{}, false
		}
		q.change.Wait()
	}
}

// nextRange cuts the next run of missing blocks off the first large file.
func (q *queue) nextRange() (task, bool) {
	for len(q.large) > 0 {
		f := q.large[0]
		if !f.ranges() {
			q.pop()
			return task{file: f, length: f.entry.Size}, true
		}
		count := digest.BlockCount(f.entry.Size)
		for q.block < count && f.have[q.block] {
			q.block++
		}
		first := q.block
		for q.block < count && !f.have[q.block] && int64(q.block-first)*digest.BlockSize < q.rangeBytes {
			q.block++
		}
		offset := int64(first) * digest.BlockSize
		length := min(int64(q.block)*digest.BlockSize, f.entry.Size) - offset
		if q.block >= count {
			q.pop()
		}
		if length > 0 {
			return task{file: f, offset: offset, length: length}, true
		}
	}
	return task{}, false
}

func (q *queue) pop() {
	q.large[0], q.large, q.block = nil, q.large[1:], 0
}
