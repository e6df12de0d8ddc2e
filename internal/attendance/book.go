// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package attendance

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// Hold is how long a pod stays in the list after it was heard last. A runtime that
	// lives is heard every few seconds, because the gateway pings its connection, and
	// one that lost its connection comes back within ten.
	Hold = 13 * time.Second
	// stall is how long the book may go without being looked at before its own process
	// was the one that hung: what runtimes sent meanwhile is not read yet.
	stall = 4 * time.Second
)

// Book has the streams of one replica. It is safe for concurrent use; the zero value
// is ready.
type Book struct {
	mu   sync.Mutex
	open map[*stream]struct{}
	// left is when pods without a stream were heard last.
	left map[Mark]time.Time
	// looked is when the list was asked for last, and awake since when that has gone
	// on without a stall.
	looked, awake time.Time
}

type stream struct {
	mark  Mark
	heard func() time.Time
}

// Enter notes that a stream of the pod is open, until what it returns is called. heard
// is when something came over its connection last.
func (b *Book) Enter(pod types.UID, heard func() time.Time) (leave func()) {
	s := &stream{MarkOf(pod), heard}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil {
		b.open = make(map[*stream]struct{})
	}
	b.open[s] = struct{}{}
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.open, s)
		b.noteHeard(s.mark, s.heard())
	}
}

// Remember takes those in whom a replica of this name heard before it started again.
func (b *Book) Remember(l List, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range l {
		b.noteHeard(m, now)
	}
}

// noteHeard keeps when a pod without a stream was heard; the lock is held.
func (b *Book) noteHeard(m Mark, heard time.Time) {
	if b.left == nil {
		b.left = make(map[Mark]time.Time)
	}
	if heard.After(b.left[m]) {
		b.left[m] = heard
	}
}

// Present lists those that were heard within Hold.
func (b *Book) Present(now time.Time) List {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Sub(b.looked) > stall {
		b.awake = now
	}
	b.looked = now
	fresh := func(heard time.Time) bool {
		if heard.Before(b.awake) {
			heard = b.awake
		}
		return now.Sub(heard) < Hold
	}
	marks := make([]Mark, 0, len(b.open)+len(b.left))
	for s := range b.open {
		if fresh(s.heard()) {
			marks = append(marks, s.mark)
		}
	}
	for m, heard := range b.left {
		if fresh(heard) {
			marks = append(marks, m)
		} else {
			delete(b.left, m)
		}
	}
	return newList(marks)
}
