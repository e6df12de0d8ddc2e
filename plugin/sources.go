// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	sourcev1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/source/v1alpha1"
)

const (
	// openTime is how long opening a source may take.
	openTime = 25 * time.Second
	// maxSources is how many are open at the same time.
	maxSources = 64
)

// sources keeps sources open between calls: every call carries its config, and
// the connections behind a source are worth keeping.
type sources struct {
	opener func(context.Context, Config) (Source, error)
	idle   time.Duration

	mu   sync.Mutex
	open map[string]*shared
}

// shared is one source that calls use together.
type shared struct {
	ready  chan struct{} // closed once source or err is set
	source Source
	err    error

	users int
	timer *time.Timer // closes the source while it has no users
}

func newSources(opener func(context.Context, Config) (Source, error), idle time.Duration) *sources {
	return &sources{opener: opener, idle: idle, open: map[string]*shared{}}
}

// acquireSource returns the source of a config, and what to call after its use. Calls
// that come while it is opened wait for that; a failure is not kept.
func (s *sources) acquireSource(ctx context.Context, c *sourcev1alpha1.Config) (Source, func(), error) {
	key := keyOf(c)
	s.mu.Lock()
	one := s.open[key]
	if one == nil {
		if len(s.open) >= maxSources {
			s.mu.Unlock()
			return nil, nil, &Error{Op: "opening a source", Class: ErrThrottled, RetryAfter: s.idle,
				Err: fmt.Errorf("%d sources with different settings are open", maxSources)}
		}
		one = &shared{ready: make(chan struct{})}
		s.open[key] = one
		// The first caller's end must not end it for the others.
		go s.openShared(context.WithoutCancel(ctx), key, one, c)
	}
	one.users++
	if one.timer != nil {
		one.timer.Stop()
	}
	s.mu.Unlock()
	release := func() { s.releaseSource(key, one) }
	select {
	case <-one.ready:
	case <-ctx.Done():
		release()
		return nil, nil, context.Cause(ctx)
	}
	if one.err != nil {
		release()
		return nil, nil, one.err
	}
	return one.source, release, nil
}

func (s *sources) openShared(ctx context.Context, key string, one *shared, c *sourcev1alpha1.Config) {
	ctx, cancel := context.WithTimeoutCause(ctx, openTime, &Error{Op: "opening a source", Class: ErrUnreachable,
		Err: fmt.Errorf("it took longer than %v", openTime)})
	defer cancel()
	defer close(one.ready)
	defer func() {
		if value := recover(); value != nil {
			one.err = &Error{Op: "opening a source", Class: ErrTemporary, Err: fmt.Errorf("the plugin's code panicked: %v", value)}
		}
		if one.err == nil {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, key)
	}()
	one.source, one.err = s.opener(ctx, Config{
		Settings: maps.Clone(c.GetSettings()),
		Secret:   newMount("Secret", c.GetSecretDir()),
		CA:       newMount("ConfigMap", c.GetCaDir()),
		CAKey:    c.GetCaKey(),
	})
	if one.err == nil && one.source == nil {
		one.err = &Error{Op: "opening a source", Class: ErrMisconfigured, Err: fmt.Errorf("the plugin's Open returned no source")}
	}
}

// releaseSource ends one use. A source without users is closed after a while.
func (s *sources) releaseSource(key string, one *shared) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one.users--
	if one.users > 0 || s.open[key] != one {
		return
	}
	one.timer = time.AfterFunc(s.idle, func() {
		s.mu.Lock()
		unused := one.users == 0 && s.open[key] == one
		if unused {
			delete(s.open, key)
		}
		s.mu.Unlock()
		if unused {
			one.close()
		}
	})
}

// close closes every source.
func (s *sources) close() {
	s.mu.Lock()
	all := slices.Collect(maps.Values(s.open))
	clear(s.open)
	s.mu.Unlock()
	for _, one := range all {
		one.close()
	}
}

func (o *shared) close() {
	<-o.ready
	if o.source != nil {
		_ = o.source.Close()
	}
}

// keyOf is the same for equal configs only.
func keyOf(c *sourcev1alpha1.Config) string {
	key := fmt.Sprintf("%q %q %q", c.GetSecretDir(), c.GetCaDir(), c.GetCaKey())
	for _, name := range slices.Sorted(maps.Keys(c.GetSettings())) {
		key += fmt.Sprintf(" %q=%q", name, c.GetSettings()[name])
	}
	return key
}
