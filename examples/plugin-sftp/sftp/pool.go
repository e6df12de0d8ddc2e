// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"context"
	"sync"
)

// pool shares connections: SFTP answers many requests on one, and one costs
// the server a process and a sign-in.
type pool struct {
	dial func(context.Context) (*connection, error)
	max  int

	mu    sync.Mutex
	slots []*slot
}

// slot is a connection, or the attempt to make one.
type slot struct {
	ready chan struct{} // closed once conn or err is set
	conn  *connection
	err   error
	end   context.CancelFunc // of the attempt

	users int
}

// get returns a connection that few use, and what to call after its use. A new
// one is made while all are in use and there are not max of them.
func (p *pool) get(ctx context.Context) (*connection, func(), error) {
	s := p.choose()
	release := func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		s.users--
	}
	select {
	case <-s.ready:
	case <-ctx.Done():
		release()
		return nil, nil, context.Cause(ctx)
	}
	if s.err != nil {
		release()
		return nil, nil, s.err
	}
	return s.conn, release, nil
}

func (p *pool) choose() *slot {
	p.mu.Lock()
	defer p.mu.Unlock()
	var best *slot
	alive := p.slots[:0]
	for _, s := range p.slots {
		if s.over() {
			continue
		}
		alive = append(alive, s)
		if best == nil || s.users < best.users {
			best = s
		}
	}
	clear(p.slots[len(alive):])
	p.slots = alive
	if best == nil || (best.users > 0 && len(p.slots) < p.max) {
		// The attempt serves all callers: it must not end with its first one.
		ctx, cancel := context.WithTimeout(context.Background(), dialTime)
		best = &slot{ready: make(chan struct{}), end: cancel}
		p.slots = append(p.slots, best)
		go best.fill(ctx, p.dial)
	}
	best.users++
	return best
}

func (s *slot) fill(ctx context.Context, dial func(context.Context) (*connection, error)) {
	defer s.end()
	s.conn, s.err = dial(ctx)
	close(s.ready)
}

// over reports whether a slot can no longer be used.
func (s *slot) over() bool {
	select {
	case <-s.ready:
		return s.err != nil || s.conn.ended()
	default:
		return false
	}
}

// close ends all connections. The pool can be used again.
func (p *pool) close() {
	p.mu.Lock()
	slots := p.slots
	p.slots = nil
	p.mu.Unlock()
	for _, s := range slots {
		s.end()
		<-s.ready
		if s.conn != nil {
			s.conn.close()
			<-s.conn.gone
		}
	}
}
