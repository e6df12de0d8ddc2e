// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package coalesce

import (
	"context"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/kuda-io/kuda/internal/gateway/share"
)

// writeTimeout bounds one write with its retries.
const writeTimeout = 20 * time.Second

// Write is one write of all that waits for a key.
type Write struct {
	// Run writes it, and reports whether there was something to write.
	Run func(context.Context) (wrote bool, err error)
	// Written is called once Run has succeeded, as the functions that see the state
	// are; nil is allowed.
	Written func()
}

// Options of a Queue whose keys have a state S.
type Options[K comparable, S any] struct {
	// Slots bound the writes that are open together; Owner says whose a key is.
	Slots *share.Pool
	Owner func(K) share.Owner
	Clock clock.WithTicker
	// Rest is how long the state of a key is kept after its last write.
	Rest time.Duration
	// Take takes out of the state what waits. The queue calls this and the other
	// functions that see a state one at a time.
	Take func(K, *S) Write
	// Observe is told after each write.
	Observe func(key K, wrote bool, err error)
}

// Queue is safe for concurrent use.
type Queue[K comparable, S any] struct {
	options Options[K, S]

	mu      sync.Mutex
	entries map[K]*entry[S]
	closed  bool
	done    sync.WaitGroup
}

// entry is what waits for one key. While it exists, one goroutine serves it.
type entry[S any] struct {
	state S
	Times
	// waiters want to know how the next write ended.
	waiters []chan error
	// poked is sent to when Times changed.
	poked chan struct{}
}

// Times are those of a key's writes.
type Times struct {
	// Waiting is whether something is to be written, from Due on.
	Waiting bool
	Due     time.Time
	// Last is when the last write ended; zero where none is known.
	Last time.Time
}

// Order says when what is submitted is to be written.
type Order struct {
	// Due is the earliest time; an earlier one that waits stays.
	Due time.Time
	// Awaited: Submit returns when it is written.
	Awaited bool
}

// New makes a queue.
func New[K comparable, S any](o Options[K, S]) *Queue[K, S] {
	return &Queue[K, S]{options: o, entries: make(map[K]*entry[S])}
}

// Submit has put put something into the state of the key, which is zero for a key that
// is not known, and order its write. Where put returns false there is nothing to
// write. Submit returns at once, or with the result of a write that is awaited.
func (q *Queue[K, S]) Submit(ctx context.Context, key K, put func(*S, Times) (Order, bool)) error {
	written, err := q.addOrder(key, put)
	if written == nil || err != nil {
		return err
	}
	select {
	case err := <-written:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// addOrder returns the channel that receives the result of the write; nil: it is not
// awaited.
func (q *Queue[K, S]) addOrder(key K, put func(*S, Times) (Order, bool)) (chan error, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, context.Canceled
	}
	e := q.entries[key]
	if e == nil {
		e = &entry[S]{poked: make(chan struct{}, 1)}
	}
	order, ok := put(&e.state, e.Times)
	if !ok {
		return nil, nil
	}
	if q.entries[key] == nil {
		q.entries[key] = e
		q.done.Go(func() { q.serveKey(key, e) })
	}
	if !e.Waiting || order.Due.Before(e.Due) {
		e.Due = order.Due
	}
	e.Waiting = true
	e.poke()
	if !order.Awaited {
		return nil, nil
	}
	written := make(chan error, 1)
	e.waiters = append(e.waiters, written)
	return written, nil
}

func (e *entry[S]) poke() {
	select {
	case e.poked <- struct{}{}:
	default:
	}
}

// serveKey writes what is due for one key until nothing has come for a while.
func (q *Queue[K, S]) serveKey(key K, e *entry[S]) {
	for {
		q.mu.Lock()
		now := q.options.Clock.Now()
		wait := e.Last.Add(q.options.Rest).Sub(now)
		if e.Waiting {
			wait = e.Due.Sub(now)
		}
		if q.closed {
			wait = 0
		}
		switch {
		case wait > 0:
			q.mu.Unlock()
			timer := q.options.Clock.NewTimer(wait)
			select {
			case <-timer.C():
			case <-e.poked:
				timer.Stop()
			}
			continue
		case !e.Waiting:
			delete(q.entries, key)
			q.mu.Unlock()
			return
		}
		w, waiters := q.options.Take(key, &e.state), e.waiters
		e.Waiting, e.waiters = false, nil
		q.mu.Unlock()

		err := q.write(key, w)
		q.mu.Lock()
		e.Last = q.options.Clock.Now()
		if err == nil && w.Written != nil {
			w.Written()
		}
		q.mu.Unlock()
		for _, waiter := range waiters {
			waiter <- err
		}
	}
}

func (q *Queue[K, S]) write(key K, w Write) error {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	wrote := false
	slot, err := q.options.Slots.Acquire(ctx, q.options.Owner(key), 1)
	if err == nil {
		defer slot.Release()
		wrote, err = w.Run(ctx)
	}
	q.options.Observe(key, wrote, err)
	return err
}

// Close writes what waits and refuses more.
func (q *Queue[K, S]) Close() {
	q.mu.Lock()
	q.closed = true
	for _, e := range q.entries {
		e.poke()
	}
	q.mu.Unlock()
	q.done.Wait()
}
