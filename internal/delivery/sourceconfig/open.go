// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sourceconfig

import (
	"context"
	"fmt"
	"sync"

	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/all"
	"github.com/kuda-io/kuda/internal/source/cache"
	"github.com/kuda-io/kuda/internal/source/limit"
)

// UnsupportedError says that the runtime has no driver.
type UnsupportedError struct{ Source string }

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("this runtime has no driver for source %q; use another kind of source, or update Kuda and restart the pod", e.Source)
}

// Opener opens sources of the protocol.
type Opener struct {
	// Mounts says where what sources refer to is mounted.
	Mounts Mounts
	// Limits get the limits of each source that is opened; nil for none.
	Limits *limit.Group
	// Caches has the breakers of the caches in front of sources, which outlive these; nil
	// for some of each source's own.
	Caches *cache.Group
}

// Open opens a source, with the cache in front of it.
func (o *Opener) Open(ctx context.Context, s *gatewayv1alpha1.Source) (*Opened, error) {
	if s == nil {
		return nil, &source.Error{Op: "finding the item's source", Class: source.ErrMisconfigured}
	}
	c, err := o.Mounts.driverConfig(s)
	if err != nil {
		return nil, err
	}
	src, err := all.Open(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("opening source %s: %w", s.GetName(), err)
	}
	if o.Limits != nil {
		o.Limits.Set(src.Identity(), limit.Limits{
			NodeConnections: int(s.GetLimits().GetConnections()), BytesPerSecond: int64(s.GetLimits().GetBytesPerSecond()),
		})
	}
	opened := &Opened{Driver: src}
	if settings := cacheOf(s); settings != nil {
		if opened.Cache, err = o.openCache(settings, src); err != nil {
			_ = src.Close() // the error is what counts
			return nil, fmt.Errorf("opening source %s: %w", s.GetName(), err)
		}
	}
	return opened, nil
}

// Set opens each source once, until it is closed.
type Set struct {
	opener *Opener
	mu     sync.Mutex
	opened map[string]*Opened
	// left are those that are no longer handed out, and may still be read from.
	left []*Opened
}

// NewSet returns a set in which no source is open.
func (o *Opener) NewSet() *Set { return &Set{opener: o, opened: map[string]*Opened{}} }

// Open opens a source, or returns the one of its name that is open.
func (t *Set) Open(ctx context.Context, s *gatewayv1alpha1.Source) (*Opened, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if src := t.opened[s.GetName()]; s != nil && src != nil {
		return src, nil
	}
	src, err := t.opener.Open(ctx, s)
	if err == nil {
		t.opened[s.GetName()] = src
	}
	return src, err
}

// Reopen makes the next Open of a source read anew what is mounted.
func (t *Set) Reopen(s *gatewayv1alpha1.Source) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if src := t.opened[s.GetName()]; src != nil {
		t.left = append(t.left, src)
		delete(t.opened, s.GetName())
	}
}

// Close closes the sources that are open.
func (t *Set) Close() {
	for _, s := range t.left {
		_ = s.Close()
	}
	for _, s := range t.opened {
		_ = s.Close()
	}
}
