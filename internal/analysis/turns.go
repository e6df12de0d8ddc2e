// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"context"
	"sync"
)

const (
	// maxAtOnce is how many measurements are taken at the same time, and
	// maxOfNamespace how many of them for one namespace: a namespace whose
	// servers never answer does not hold up the others.
	maxAtOnce      = 64
	maxOfNamespace = 8
	// maxJudged is how many answers are taken apart at the same time: 1 MiB of
	// JSON becomes many times that in memory, and a condition is work.
	maxJudged = 2
)

// turns let measurements begin.
type turns struct {
	all chan struct{}

	mu         sync.Mutex
	namespaces map[string]*share
}

// share is a namespace's part; it exists as long as it is used.
type share struct {
	turns chan struct{}
	users int
}

func newTurns() *turns {
	return &turns{all: make(chan struct{}, maxAtOnce), namespaces: map[string]*share{}}
}

// waitTurn waits for a turn; the context's end calls it off. The turn is given back by done.
func (t *turns) waitTurn(ctx context.Context, namespace string) (done func(), err error) {
	s := t.acquireShare(namespace)
	select {
	case s.turns <- struct{}{}:
	case <-ctx.Done():
		t.releaseShare(namespace, s)
		return nil, ctx.Err()
	}
	select {
	case t.all <- struct{}{}:
	case <-ctx.Done():
		<-s.turns
		t.releaseShare(namespace, s)
		return nil, ctx.Err()
	}
	return func() {
		<-t.all
		<-s.turns
		t.releaseShare(namespace, s)
	}, nil
}

func (t *turns) acquireShare(namespace string) *share {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, ok := t.namespaces[namespace]
	if !ok {
		s = &share{turns: make(chan struct{}, maxOfNamespace)}
		t.namespaces[namespace] = s
	}
	s.users++
	return s
}

func (t *turns) releaseShare(namespace string, s *share) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.users--; s.users == 0 {
		delete(t.namespaces, namespace)
	}
}
