// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"time"

	"github.com/kuda-io/kuda/internal/source"
)

// Backend is a cache's own protocol. Its errors are *Error; others count as
// ReasonFailed.
type Backend interface {
	// Identity names the cache, such as "alluxio://host:19998/models".
	Identity() string
	// Open opens a range of the file that a source lists as e, once, and returns when
	// the first bytes are there.
	Open(ctx context.Context, e source.Entry, offset, length int64) (io.ReadCloser, error)
	// Fill has the cache hold all of the file that a source lists as e, and returns when
	// it does. Held is told of bytes that the cache holds by then and was not told of
	// before; host is the name or the address of the server that has them, "" where
	// the cache does not say.
	Fill(ctx context.Context, e source.Entry, held func(host string, n int64)) error
	// Close frees idle connections.
	Close() error
}

// Group has the breakers of all caches of a process.
type Group struct {
	now func() time.Time

	mu       sync.Mutex
	breakers map[string]*breakers
}

// breakers of one cache: a cache that serves wrong bytes does not fail to read.
type breakers struct{ reads, proofs *Breaker }

// NewGroup returns a group in which every breaker is closed.
func NewGroup() *Group { return &Group{now: time.Now, breakers: map[string]*breakers{}} }

func (g *Group) breakersOf(identity string) *breakers {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.breakers[identity]
	if b == nil {
		b = &breakers{reads: NewBreaker(g.now), proofs: NewBreaker(g.now)}
		g.breakers[identity] = b
	}
	return b
}

// Cache is a cache in front of one source. As a source.Source it opens files and lists
// none.
type Cache struct {
	backend  Backend
	origin   source.Cacheable
	breakers *breakers
	now      func() time.Time
	// Only tells that what the cache does not serve must not be read from the source.
	Only bool
}

// New returns a cache in front of a source.
func (g *Group) New(b Backend, origin source.Cacheable) *Cache {
	return &Cache{backend: b, origin: origin, breakers: g.breakersOf(b.Identity()), now: g.now}
}

// Identity names the cache.
func (c *Cache) Identity() string { return c.backend.Identity() }

// Close frees idle connections.
func (c *Cache) Close() error { return c.backend.Close() }

// List lists nothing: what there is is the source's to say.
func (c *Cache) List(context.Context, string) iter.Seq2[source.Entry, error] {
	return func(yield func(source.Entry, error) bool) {
		yield(source.Entry{}, &source.Error{Op: "listing a cache", Class: source.ErrMisconfigured, Err: errors.New("a cache lists nothing")})
	}
}

// Prove returns a checksum of the source by which the bytes of a file can be told to be
// the source's, or an *Error where it has none.
func (c *Cache) Prove(ctx context.Context, e source.Entry) (string, error) {
	sum, err := c.origin.Prove(ctx, e)
	if err != nil {
		return "", err
	}
	if sum == "" {
		return "", &Error{Reason: ReasonUnprovable, Cache: c.Identity(),
			Err: errors.New("the source has no checksum of " + e.Key + " that its bytes can be compared with")}
	}
	return sum, nil
}

// errAvoided is why nothing was asked.
var errAvoided = errors.New("it failed several times in a row, and is asked again in some minutes at most")

// Open opens a range, unless the cache failed too often.
func (c *Cache) Open(ctx context.Context, e source.Entry, offset, length int64) (io.ReadCloser, error) {
	if c.breakers.proofs.Open() || !c.breakers.reads.Allow() {
		return nil, &Error{Reason: ReasonBreaker, Cache: c.Identity(), Err: errAvoided}
	}
	body, err := c.backend.Open(ctx, e, offset, length)
	if err != nil {
		return nil, c.judgeFailure(ctx, err)
	}
	return &cachedBody{ReadCloser: body, ctx: ctx, cache: c}, nil
}

// Fill has the cache hold all of a file, unless the cache failed too often. See Backend.
func (c *Cache) Fill(ctx context.Context, e source.Entry, held func(host string, n int64)) error {
	if c.breakers.proofs.Open() || !c.breakers.reads.Allow() {
		return &Error{Reason: ReasonBreaker, Cache: c.Identity(), Err: errAvoided}
	}
	if err := c.backend.Fill(ctx, e, held); err != nil {
		return c.judgeFailure(ctx, err)
	}
	c.breakers.reads.Succeed()
	return nil
}

// judgeFailure tells the breaker of an error.
func (c *Cache) judgeFailure(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) && !isStall(ctx) {
		c.breakers.reads.Forget() // the caller does not want it any more
		return err
	}
	reason := ReasonOf(err)
	if countsAsFailure(reason) {
		c.breakers.reads.Fail()
	} else {
		c.breakers.reads.Succeed()
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	return &Error{Reason: reason, Cache: c.Identity(), Err: err}
}

// isStall reports whether a watchdog ended the context.
func isStall(ctx context.Context) bool {
	_, ok := errors.AsType[*source.Error](context.Cause(ctx))
	return ok
}

// Accept tells that the bytes of a file were proved.
func (c *Cache) Accept() { c.breakers.proofs.Succeed() }

// Reject tells that they were not those of the source.
func (c *Cache) Reject() { c.breakers.proofs.Fail() }

// Degraded reports whether the cache is not asked at the moment.
func (c *Cache) Degraded() bool { return c.breakers.reads.Open() || c.breakers.proofs.Open() }

// A cache that brings less than slowBytes in slowTime, which is how long it is waited for,
// is in the way: the source brings the rest. Where the source must not, it is waited for.
const (
	slowBytes = 256 << 10
	slowTime  = 5 * time.Second
)

// cachedBody tells the breaker what came of a read.
type cachedBody struct {
	io.ReadCloser
	ctx    context.Context
	cache  *Cache
	judged bool
	// bytes came, and waited is how long it took, since the speed was looked at last.
	bytes  int
	waited time.Duration
}

func (b *cachedBody) Read(p []byte) (int, error) {
	began := b.cache.now()
	n, err := b.ReadCloser.Read(p)
	if err == nil && !b.cache.Only {
		err = b.checkSpeed(n, b.cache.now().Sub(began))
	}
	if err == nil || b.judged {
		return n, err
	}
	b.judged = true
	if errors.Is(err, io.EOF) {
		b.cache.breakers.reads.Succeed()
		return n, err
	}
	return n, b.cache.judgeFailure(b.ctx, err)
}

func (b *cachedBody) checkSpeed(n int, took time.Duration) error {
	b.bytes += n
	if b.waited += took; b.waited < slowTime {
		return nil
	}
	if b.bytes < slowBytes {
		return &Error{Reason: ReasonFailed, Cache: b.cache.Identity(),
			Err: fmt.Errorf("it is too slow: %d bytes came in %v", b.bytes, b.waited.Round(time.Second))}
	}
	b.bytes, b.waited = 0, 0
	return nil
}

func (b *cachedBody) Close() error {
	if !b.judged {
		b.judged = true
		b.cache.breakers.reads.Forget()
	}
	return b.ReadCloser.Close()
}
