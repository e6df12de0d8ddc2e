// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"

	"github.com/kuda-io/kuda/internal/delivery/confined"
	"github.com/kuda-io/kuda/internal/delivery/keeper/census"
	"github.com/kuda-io/kuda/internal/delivery/keeper/published"
	"github.com/kuda-io/kuda/internal/delivery/keeper/room"
)

// The forms of what the driver makes: a DNS label, and a UID of the API server.
var (
	namespaceForm = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	uidForm       = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
)

// How many directories of a node are looked at. The gateway takes as many.
const (
	maxNamespaces = 4096
	maxStores     = 1024
	// maxEach is how many stores of one namespace's name are looked at: that of the
	// namespace, and those of earlier ones that still have to go.
	maxEach = 64
)

// sight is what a look saw.
type sight struct {
	stores  []*census.Store
	volumes published.Volumes
	// live: volumes are known.
	live bool
	disk room.Disk
}

// errBaseGone ends the keeper: what has the name of the base now is another directory, which
// the next start finds.
var errBaseGone = errors.New("the directory of the stores was deleted")

// look looks at all stores, and does what is to be done there.
func (k *Keeper) look(ctx context.Context, base *confined.Dir, changes *changes) error {
	s, err := k.readStores(base, changes)
	if err != nil {
		return err
	}
	changed := k.removeDead(base, s)
	if s.live {
		changed = k.removeGone(base, s) || changed
	}
	changed = k.forgetPreheats(base, s) || changed
	evicted, err := k.evict(ctx, base, s)
	if evicted || changed {
		k.signalChange() // to count again what is left
	}
	k.gateway.setPlaces(placesOf(s.stores))
	k.reporter.update(s)
	k.verifier.update(s.stores)
	k.options.Metrics.setStores(s.stores)
	k.looked(s.stores)
	return err
}

func placesOf(stores []*census.Store) []census.Place {
	places := make([]census.Place, 0, len(stores))
	for _, s := range stores {
		places = append(places, s.Place)
	}
	return places
}

func (k *Keeper) readStores(base *confined.Dir, changes *changes) (*sight, error) {
	s := &sight{}
	self, err := base.Stat()
	if err == nil && self.Nlink == 0 {
		return nil, errBaseGone
	}
	// Before the first watch: what changes after it is told.
	if s.volumes, err = k.options.Table.Read(); err == nil {
		s.live = true
	}
	k.life.begin(s.volumes, err)
	if s.disk.Size, s.disk.Free, err = base.FileSystem(); err != nil {
		return nil, fmt.Errorf("asking how full the disk is: %w", err)
	}
	changes.begin()
	defer changes.end()
	changes.watch(base)
	k.census.Begin()
	defer k.census.End()
	places, err := listPlaces(base, changes)
	if err != nil {
		return nil, err
	}
	for _, place := range places {
		dir, err := base.Dir(place.Namespace, place.UID)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			if confined.IsShortage(err) {
				return nil, fmt.Errorf("opening store %s: %w", place, err)
			}
			s.stores = append(s.stores, &census.Store{Place: place, Unreadable: "the directory of the store: " + err.Error()})
			continue
		}
		changes.watchStore(dir)
		one, err := k.census.Look(dir, place, s.volumes)
		k.sweeper.notice(dir, place)
		dir.Close()
		if err != nil {
			return nil, err
		}
		s.stores = append(s.stores, one)
	}
	k.life.end()
	return s, nil
}

// listPlaces lists the stores. Names of other forms were not made by the driver, and are
// left alone.
func listPlaces(base *confined.Dir, changes *changes) (places []census.Place, err error) {
	var namespaces []string
	if _, err = base.List(maxNamespaces, func(e confined.Entry) bool {
		if e.Dir && namespaceForm.MatchString(e.Name) {
			namespaces = append(namespaces, e.Name)
		}
		return true
	}); err != nil {
		return nil, fmt.Errorf("listing the namespaces: %w", err)
	}
	for _, namespace := range namespaces {
		dir, err := base.Dir(namespace)
		if err != nil {
			if confined.IsShortage(err) {
				return nil, fmt.Errorf("listing the stores of namespace %s: %w", namespace, err)
			}
			continue // it is gone, or is not the driver's
		}
		changes.watch(dir)
		_, err = dir.List(maxEach, func(e confined.Entry) bool {
			if e.Dir && uidForm.MatchString(e.Name) && len(places) < maxStores {
				places = append(places, census.Place{Namespace: namespace, UID: e.Name})
			}
			return true
		})
		dir.Close()
		if err != nil {
			return nil, fmt.Errorf("listing the stores of namespace %s: %w", namespace, err)
		}
	}
	return places, nil
}

// evict makes room where there is too little, and reports whether it evicted anything. What
// a turn does not suffice for is left to the next look.
func (k *Keeper) evict(ctx context.Context, base *confined.Dir, s *sight) (bool, error) {
	limits := room.Limits{Quota: k.options.NodeQuota.Of(s.disk.Size), High: k.options.High, Low: k.options.Low,
		Reserve: k.options.Reserve.Of(s.disk.Size)}
	picker := room.NewPicker(s.stores, limits, s.disk)
	turn, cancel := context.WithTimeout(ctx, k.options.Pace.Turn)
	defer cancel()
	evicted := false
	// passed are stores that no more is taken from: what one of them does must not hold up the others.
	passed := map[census.Place]bool{}
	for turn.Err() == nil {
		c, ok := picker.Next()
		if !ok {
			return evicted, nil
		}
		if passed[c.Place] {
			continue
		}
		gone, err := evictSnapshot(base, c.Place, c.ID)
		if err != nil {
			if confined.IsShortage(err) {
				return evicted, err
			}
			k.options.Log.Error(err, "a snapshot was not evicted", "store", c.Place.String(), "snapshot", c.ID)
			passed[c.Place] = true
			continue
		}
		if !gone {
			continue
		}
		evicted = true
		k.options.Metrics.countEviction(c.Bytes)
		k.options.Log.V(1).Info("evicted a snapshot", "store", c.Place.String(), "snapshot", c.ID, "bytes", c.Bytes)
		disk, err := k.freeEvicted(turn, base, c, s.disk, passed)
		if err != nil {
			return evicted, err
		}
		picker.Evicted(c, disk)
	}
	return evicted, context.Cause(ctx)
}

// freeEvicted deletes what was evicted, because the room is there only when the files are
// gone, and returns what the disk is like then. What takes longer is left to the sweeper.
func (k *Keeper) freeEvicted(ctx context.Context, base *confined.Dir, c room.Candidate, before room.Disk, passed map[census.Place]bool,
) (room.Disk, error) {
	part, cancel := context.WithTimeout(ctx, k.options.Pace.Turn/2)
	defer cancel()
	err := k.sweeper.sweepStore(part, c.Place)
	if err != nil {
		passed[c.Place] = true
		k.sweeper.ask(c.Place)
		if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			k.options.Log.Error(err, "what was evicted was not deleted", "store", c.Place.String())
		}
	}
	disk := before
	var sizeErr error
	if disk.Size, disk.Free, sizeErr = base.FileSystem(); sizeErr != nil {
		return disk, fmt.Errorf("asking how full the disk is: %w", sizeErr)
	}
	if err != nil {
		disk.Free = min(disk.Free+c.Bytes, disk.Size) // it will be there
	}
	return disk, nil
}
