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
	"time"

	"github.com/kuda-io/kuda/internal/delivery/confined"
	"github.com/kuda-io/kuda/internal/delivery/keeper/census"
	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/store"
)

// sweepTime is how long the trash of a store is emptied at a time.
const sweepTime = 2 * time.Minute

var errSweep = errors.New("it takes longer than " + sweepTime.String())

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
		if gone {
			if err := removeAll(ctx, s.base, gonePrefix); err != nil && ctx.Err() == nil {
				s.options.Log.Error(err, "stores of namespaces that are gone were not deleted")
			}
		}
		for place := range places {
			// Another look asks again for what is left: a store whose pods make more files than
			// are removed does not hold up the others.
			if err := s.sweepStore(ctx, place); err != nil && ctx.Err() == nil {
				s.options.Log.Error(err, "what is to be deleted was not", "store", place.String())
			}
		}
	}
}

// sweepStore empties the trash of a store.
func (s *sweeper) sweepStore(ctx context.Context, place census.Place) error {
	ctx, cancel := context.WithTimeoutCause(ctx, sweepTime, errSweep)
	defer cancel()
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
