// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package look

import (
	"context"
	"sync"
	"time"
)

// Group puts one question per key at a time. The zero Group is ready; a nil one
// shares nothing.
type Group[T any] struct {
	mu sync.Mutex
	// next has the questions that are not put yet, running those that are.
	next, running map[string]*question[T]
}

type question[T any] struct {
	done   chan struct{}
	answer T
	err    error
}

// Do returns what ask returns for the key. The question is put after Do was
// called, so that its answer is not older than the request, and is shared by all
// who called before it was put. It has limit to be answered in; the caller waits
// for that long at most, and returns the error of its context then. The context
// that ask gets ends with the limit and not with any of the callers.
func (g *Group[T]) Do(ctx context.Context, key string, limit time.Duration, ask func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if g == nil {
		return ask(ctx)
	}
	q := g.joinNext(context.WithoutCancel(ctx), key, limit, ask)
	select {
	case <-q.done:
		return q.answer, q.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// joinNext returns the question that will be put next.
func (g *Group[T]) joinNext(ctx context.Context, key string, limit time.Duration, ask func(context.Context) (T, error)) *question[T] {
	g.mu.Lock()
	defer g.mu.Unlock()
	if q := g.next[key]; q != nil {
		return q
	}
	q := &question[T]{done: make(chan struct{})}
	before := g.running[key]
	if g.next == nil {
		g.next, g.running = map[string]*question[T]{}, map[string]*question[T]{}
	}
	g.next[key] = q
	go func() {
		if before != nil {
			<-before.done
		}
		g.mu.Lock()
		delete(g.next, key)
		g.running[key] = q
		g.mu.Unlock()
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		q.answer, q.err = ask(ctx)
		g.mu.Lock()
		if g.running[key] == q {
			delete(g.running, key)
		}
		g.mu.Unlock()
		close(q.done)
	}()
	return q
}
