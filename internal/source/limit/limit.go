// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync"

	"github.com/kuda-io/kuda/internal/source"
)

// Limits of one storage system.
type Limits struct {
	// Connections is how many bodies and listings this process has open at the
	// same time; 0 for no limit.
	Connections int
	// BytesPerSecond that this process reads; 0 for no limit.
	BytesPerSecond int64
	// NodeConnections is Connections for all processes of the node that share
	// Options.Dir; 0 for no limit.
	NodeConnections int
}

// Options of a Group.
type Options struct {
	// Default holds for sources that Set did not name.
	Default Limits
	// Dir is where the processes of a node meet for NodeConnections, on a local
	// file system; without it that limit does not hold.
	Dir string
}

// Group has the limits of all sources of a process. It is safe for use by
// several goroutines.
type Group struct {
	options Options

	mu    sync.Mutex
	gates map[string]*gate
}

// NewGroup returns a group. It does no I/O.
func NewGroup(o Options) *Group {
	return &Group{options: o, gates: map[string]*gate{}}
}

// Set gives the source of an identity its limits, from now on.
func (g *Group) Set(identity string, l Limits) { g.gateFor(identity).setLimits(l) }

// Connections returns how many connections this process may have to the source of an
// identity, 0 for any number.
func (g *Group) Connections(identity string) int {
	gate := g.gateFor(identity)
	gate.mu.Lock()
	defer gate.mu.Unlock()
	if l := gate.limits; l.Connections > 0 && (l.NodeConnections == 0 || l.Connections < l.NodeConnections) {
		return l.Connections
	}
	return gate.limits.NodeConnections
}

// Holds reports whether requests to the source of an identity wait because it asked to
// slow down.
func (g *Group) Holds(identity string) bool { return g.gateFor(identity).isHolding() }

func (g *Group) gateFor(identity string) *gate {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gates[identity] == nil {
		g.gates[identity] = newGate(identity, g.options)
	}
	return g.gates[identity]
}

// Wrap returns next within the limits of its identity, for one user of it: those
// whom Wrap was called for take turns.
func (g *Group) Wrap(next source.Source) source.Source {
	return &limited{next: next, gate: g.gateFor(next.Identity()), user: &user{}}
}

type limited struct {
	next source.Source
	gate *gate
	user *user
}

func (s *limited) Identity() string { return s.next.Identity() }
func (s *limited) Close() error     { return s.next.Close() }

// List counts as one connection for as long as it goes on.
func (s *limited) List(ctx context.Context, path string) iter.Seq2[source.Entry, error] {
	return func(yield func(source.Entry, error) bool) {
		free, err := s.gate.acquireConnection(ctx, s.user)
		if err != nil {
			yield(source.Entry{}, err)
			return
		}
		ok := false
		defer func() { free(ok) }()
		if s.gate.isLimited() {
			ctx = source.OneAtATime(ctx)
		}
		for entry, err := range s.next.List(ctx, path) {
			s.gate.handleOutcome(err)
			if !yield(entry, err) || err != nil {
				return
			}
		}
		ok = true
	}
}

// Open counts as one connection until the body is closed.
func (s *limited) Open(ctx context.Context, e source.Entry, offset, length int64) (io.ReadCloser, error) {
	free, err := s.gate.acquireConnection(ctx, s.user)
	if err != nil {
		return nil, err
	}
	body, err := s.next.Open(ctx, e, offset, length)
	if err != nil {
		s.gate.handleOutcome(err)
		free(false)
		return nil, err
	}
	return &limitedBody{ctx: ctx, source: s, body: body, free: free}, nil
}

type limitedBody struct {
	ctx    context.Context
	source *limited
	body   io.ReadCloser
	free   func(ok bool)
	ended  bool
}

func (b *limitedBody) Read(p []byte) (int, error) {
	granted, err := b.source.gate.awaitBytes(b.ctx, b.source.user, len(p))
	if err != nil {
		return 0, err
	}
	n, err := b.body.Read(p[:granted])
	b.source.gate.refundBytes(granted - n)
	if errors.Is(err, io.EOF) {
		b.ended = true
	} else if err != nil {
		b.source.gate.handleOutcome(err)
	}
	return n, err
}

func (b *limitedBody) Close() error {
	err := b.body.Close()
	if b.free != nil {
		b.free(b.ended)
		b.free = nil
	}
	return err
}
