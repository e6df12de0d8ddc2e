// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/kuda-io/kuda/internal/delivery/confined"
	"github.com/kuda-io/kuda/internal/delivery/keeper/census"
	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/store"
)

// maxSwept is how many names are removed before a directory is listed again.
const maxSwept = 1024

// sweeper deletes what was moved aside, apart from the looks: a tree of a hundred thousand
// files takes its time.
type sweeper struct {
	options Options
	base    *confined.Dir
	wake    chan struct{}

	mu     sync.Mutex
	places map[census.Place]bool
	gone   bool
}

func newSweeper(o Options) *sweeper {
	return &sweeper{options: o, wake: make(chan struct{}, 1), places: map[census.Place]bool{}, gone: true}
}

// ask has the trash of a store emptied.
func (s *sweeper) ask(place census.Place) {
	s.mu.Lock()
	s.places[place] = true
	s.mu.Unlock()
	s.signalWork()
}

// askBase has the stores deleted that were moved aside.
func (s *sweeper) askBase() {
	s.mu.Lock()
	s.gone = true
	s.mu.Unlock()
	s.signalWork()
}

func (s *sweeper) signalWork() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// notice asks for a store in which a process that died has left something to delete.
func (s *sweeper) notice(dir *confined.Dir, place census.Place) {
	left := false
	for name, prefix := range map[string]string{store.TrashDir: "", podstate.PodsDir: podstate.DeadPrefix} {
		sub, err := dir.Dir(name)
		if err != nil {
			continue
		}
		_, _ = sub.List(maxSwept, func(e confined.Entry) bool {
			left = left || strings.HasPrefix(e.Name, prefix)
			return !left
		})
		sub.Close()
	}
	if left {
		s.ask(place)
	}
}

// run deletes until the context ends.
func (s *sweeper) run(ctx context.Context) {
	s.signalWork()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		s.mu.Lock()
		places, gone := s.places, s.gone
		s.places, s.gone = map[census.Place]bool{}, false
		s.mu.Unlock()
		if gone && s.sweepTurn(ctx, "stores of namespaces that are gone", s.sweepGone) {
			s.askBase()
		}
		for place := range places {
			if s.sweepTurn(ctx, place.String(), func(ctx context.Context) error { return s.sweepStore(ctx, place) }) {
				s.ask(place)
			}
		}
	}
}

// sweepTurn deletes for as long as a turn lasts, so that what has no end keeps only itself
// waiting. It reports whether there is more.
func (s *sweeper) sweepTurn(ctx context.Context, what string, sweep func(context.Context) error) bool {
	turn, cancel := context.WithTimeout(ctx, s.options.Pace.Turn)
	defer cancel()
	err := sweep(turn)
	if err == nil || ctx.Err() != nil {
		return false
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	s.options.Log.Error(err, "what is to be deleted was not", "store", what)
	return false
}

// sweepGone deletes the stores that were moved aside.
func (s *sweeper) sweepGone(ctx context.Context) error { return removeAll(ctx, s.base, gonePrefix) }

// sweepStore empties the trash of a store.
func (s *sweeper) sweepStore(ctx context.Context, place census.Place) error {
	for name, prefix := range map[string]string{store.TrashDir: "", podstate.PodsDir: podstate.DeadPrefix} {
		dir, err := s.base.Dir(place.Namespace, place.UID, name)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, confined.ErrKind) {
			continue
		}
		if err != nil {
			return fmt.Errorf("opening what is to be deleted: %w", err)
		}
		err = removeAll(ctx, dir, prefix)
		dir.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// removeAll removes what has a prefix in a directory. Others may be at the same.
func removeAll(ctx context.Context, dir *confined.Dir, prefix string) error {
	var names []string
	_, err := dir.List(maxSwept, func(e confined.Entry) bool {
		if strings.HasPrefix(e.Name, prefix) {
			names = append(names, e.Name)
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("listing what is to be deleted: %w", err)
	}
	var errs []error
	for _, name := range names {
		if err := dir.RemoveTree(ctx, name); err != nil {
			errs = append(errs, fmt.Errorf("deleting: %w", err))
		}
	}
	return errors.Join(errs...)
}
