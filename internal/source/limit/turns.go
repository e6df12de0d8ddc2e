// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package limit

import "slices"

// user is one of those that share a source.
type user struct{ _ byte } // not empty, so that no two have the same address

// waiter waits for its turn, and for so many units.
type waiter struct {
	user  *user
	units int
	ready chan struct{}
}

func newWaiter(u *user, units int) *waiter {
	return &waiter{user: u, units: units, ready: make(chan struct{})}
}

// turns are the waiters in the order in which they are served: the users one
// after the other, and each one's waiters in the order in which they came.
type turns struct {
	users []*user // that wait; the first has the next turn
	queue map[*user][]*waiter
}

func (t *turns) push(w *waiter) {
	if t.queue == nil {
		t.queue = map[*user][]*waiter{}
	}
	if len(t.queue[w.user]) == 0 {
		t.users = append(t.users, w.user)
	}
	t.queue[w.user] = append(t.queue[w.user], w)
}

// firstWaiter returns the waiter whose turn it is, nil if there is none.
func (t *turns) firstWaiter() *waiter {
	if len(t.users) == 0 {
		return nil
	}
	return t.queue[t.users[0]][0]
}

// pop takes the first off, and puts its user at the end.
func (t *turns) pop() {
	u := t.users[0]
	t.users = t.users[1:]
	if t.queue[u] = t.queue[u][1:]; len(t.queue[u]) > 0 {
		t.users = append(t.users, u)
	} else {
		delete(t.queue, u)
	}
}

// removeWaiter removes a waiter; it reports whether the waiter was still waiting for its turn.
func (t *turns) removeWaiter(w *waiter) bool {
	i := slices.Index(t.queue[w.user], w)
	if i < 0 {
		return false
	}
	if t.queue[w.user] = slices.Delete(t.queue[w.user], i, i+1); len(t.queue[w.user]) == 0 {
		delete(t.queue, w.user)
		t.users = slices.DeleteFunc(t.users, func(u *user) bool { return u == w.user })
	}
	return true
}
