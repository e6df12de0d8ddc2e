// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/confined"
	"github.com/kuda-io/kuda/internal/delivery/keeper/census"
	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/filelock"
)

// gonePrefix begins the names, in the base, of stores that are being deleted.
const gonePrefix = ".gone-"

// maxRemoved is how many directories of one store are taken away in one look.
const maxRemoved = 256

// removeDead moves the directories of dead pods into the trash of their stores, and
// reports whether it did anything.
func (k *Keeper) removeDead(base *confined.Dir, s *sight) (removed bool) {
	for _, one := range s.stores {
		for _, uid := range one.Dead[:min(len(one.Dead), maxRemoved)] {
			gone, err := k.removePod(base, one.Place, uid)
			if err != nil {
				k.options.Log.Error(err, "what a pod left was not removed", "store", one.Place.String(), "pod", uid)
			}
			if gone {
				k.options.Metrics.countPod()
				k.options.Log.V(1).Info("removed what a pod left", "store", one.Place.String(), "pod", uid)
				k.sweeper.ask(one.Place)
			}
			removed = removed || gone
		}
	}
	return removed
}

func (k *Keeper) removePod(base *confined.Dir, place census.Place, uid string) (bool, error) {
	dir, err := base.Dir(place.Namespace, place.UID)
	if err != nil {
		return false, fmt.Errorf("opening the store: %w", err)
	}
	defer dir.Close()
	pods, err := dir.Dir(podstate.PodsDir)
	if err != nil {
		return false, fmt.Errorf("opening the directory of pods: %w", err)
	}
	defer pods.Close()
	lock, err := lockPod(pods, uid)
	if errors.Is(err, filelock.ErrHeld) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer lock.Release()
	trash, err := openTrash(dir)
	if err != nil {
		return false, err
	}
	defer trash.Close()
	aside := "pod-" + rand.Text()
	if err := pods.Rename(uid, trash, aside); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return false, fmt.Errorf("taking the directory away: %w", err)
	}
	// What was mounted until the directory had lost its name counts.
	now, err := k.options.Table.Read()
	if err == nil && !now.Pods[uid] {
		return true, nil
	}
	if backErr := trash.Rename(aside, pods, uid); backErr != nil {
		return false, fmt.Errorf("giving a directory back that is in use: %w", backErr)
	}
	return false, err
}

// lockPod takes the lock of a pod's runtime. A directory that its owner closed to itself
// has no runtime, and no lock.
func lockPod(pods *confined.Dir, uid string) (*confined.Lock, error) {
	dir, err := pods.Dir(uid)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("opening the directory of the pod: %w", err)
	}
	defer dir.Close()
	lock, err := dir.TryLock(podstate.LockFile)
	if errors.Is(err, fs.ErrPermission) {
		return nil, nil
	}
	return lock, err
}

// openTrash opens a store's trash, which it makes where it is missing. Anything else that
// has the name is removed: no runtime puts it there.
func openTrash(dir *confined.Dir) (*confined.Dir, error) {
	for range 3 {
		trash, err := dir.Dir(store.TrashDir)
		switch {
		case err == nil:
			return trash, nil
		case errors.Is(err, confined.ErrKind):
			err = dir.Remove(store.TrashDir)
		case errors.Is(err, fs.ErrNotExist):
			err = dir.Mkdir(store.TrashDir)
		}
		if err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("opening the trash: %w", err)
		}
	}
	return nil, errors.New("opening the trash: others keep changing it")
}

// evictSnapshot moves a snapshot into the trash unless a process uses it; see
// Store.Evict.
func evictSnapshot(base *confined.Dir, place census.Place, id snapshot.ID) (bool, error) {
	dir, err := base.Dir(place.Namespace, place.UID)
	if err != nil {
		return false, fmt.Errorf("opening the store: %w", err)
	}
	defer dir.Close()
	locks, err := dir.Dir(store.LocksDir)
	if err != nil {
		return false, fmt.Errorf("opening the locks: %w", err)
	}
	defer locks.Close()
	snapshots, err := dir.Dir(store.SnapshotsDir)
	if err != nil {
		return false, fmt.Errorf("opening the snapshots: %w", err)
	}
	defer snapshots.Close()
	for _, name := range []string{store.WriterName(id), store.LeaseName(id)} {
		lock, err := locks.TryLock(name)
		if errors.Is(err, filelock.ErrHeld) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("locking the snapshot: %w", err)
		}
		defer lock.Release()
	}
	trash, err := openTrash(dir)
	if err != nil {
		return false, err
	}
	defer trash.Close()
	if err := snapshots.Rename(string(id), trash, "evicted-"+rand.Text()); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return false, fmt.Errorf("taking the snapshot away: %w", err)
	}
	// The locks are held, so a process that opens these files meanwhile finds out that
	// they have lost their names.
	_ = locks.Remove(store.LeaseName(id))
	_ = locks.Remove(store.SuspectName(id))
	if !snapshots.IsDir(string(id) + store.PartialSuffix) {
		_ = locks.Remove(store.WriterName(id))
		removeMarks(dir, id)
	}
	return true, nil
}

// maxMarks is how many names are looked at for the marks of a snapshot that is gone. What
// stays is swept by a runtime.
const maxMarks = 100_000

func removeMarks(dir *confined.Dir, id snapshot.ID) {
	marks, err := dir.Dir(store.MarksDir)
	if err != nil {
		return
	}
	defer marks.Close()
	var names []string
	_, _ = marks.List(maxMarks, func(e confined.Entry) bool {
		if strings.HasPrefix(e.Name, string(id)+".") {
			names = append(names, e.Name)
		}
		return true
	})
	for _, name := range names {
		_ = marks.Remove(name)
	}
}

// removeGone takes the stores away whose namespace is gone, as far as nothing uses them,
// and reports whether it did anything.
func (k *Keeper) removeGone(base *confined.Dir, s *sight) (removed bool) {
	var left []*census.Store
	for _, one := range s.stores {
		if !k.gateway.isGone(one.Place) || s.volumes.Unknown || s.volumes.Stores[one.Place.String()] {
			left = append(left, one)
			continue
		}
		gone, err := k.removeStore(base, one.Place)
		if err != nil {
			k.options.Log.Error(err, "the store of a namespace that is gone was not removed", "store", one.Place.String())
		}
		if !gone {
			left = append(left, one)
			continue
		}
		removed = true
		k.options.Metrics.countStore()
		k.options.Log.Info("removed the store of a namespace that is gone", "store", one.Place.String())
		k.sweeper.askBase()
	}
	s.stores = left
	return removed
}

// storeLocks are what a process holds that has a store open.
var storeLocks = []string{"boot", "open"}

func (k *Keeper) removeStore(base *confined.Dir, place census.Place) (bool, error) {
	namespace, err := base.Dir(place.Namespace)
	if err != nil {
		return false, fmt.Errorf("opening the directory of the namespace: %w", err)
	}
	defer namespace.Close()
	held, free, err := lockStore(namespace, place.UID)
	defer func() {
		for _, l := range held {
			l.Release()
		}
	}()
	if err != nil || !free {
		return false, err
	}
	aside := gonePrefix + place.UID + "-" + rand.Text()
	if err := namespace.Rename(place.UID, base, aside); err != nil {
		return false, fmt.Errorf("taking the directory away: %w", err)
	}
	// What was mounted until the directory had lost its name counts, under either name.
	now, err := k.options.Table.Read()
	if err != nil || now.Unknown || now.Stores[place.String()] || now.Below(aside) {
		if backErr := base.Rename(aside, namespace, place.UID); backErr != nil {
			return false, fmt.Errorf("giving a store back that is in use: %w", backErr)
		}
		return false, err
	}
	// Only an empty one goes; the driver makes it again when it needs it.
	_ = base.RemoveDir(place.Namespace)
	return true, nil
}

// lockStore takes the locks by which a runtime would open the store meanwhile; false where
// one has it open.
func lockStore(namespace *confined.Dir, uid string) (held []*confined.Lock, free bool, err error) {
	locks, err := namespace.Dir(uid, store.LocksDir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, confined.ErrKind) {
		return nil, true, nil // no process can have it open
	}
	if err != nil {
		return nil, false, fmt.Errorf("opening the locks: %w", err)
	}
	defer locks.Close()
	for _, name := range storeLocks {
		lock, err := locks.TryLock(name)
		if errors.Is(err, filelock.ErrHeld) {
			return held, false, nil
		}
		if err != nil {
			return held, false, fmt.Errorf("locking the store: %w", err)
		}
		held = append(held, lock)
	}
	return held, true, nil
}

// forgetPreheats removes the records of what is no longer to be preheated, and reports
// whether it did anything. Runtimes do the same; a namespace may have none just now.
func (k *Keeper) forgetPreheats(base *confined.Dir, s *sight) (forgot bool) {
	for _, one := range s.stores {
		told, known := k.gateway.preheatsOf(one.Place)
		if !known {
			continue
		}
		n, err := removeRecords(base, one.Place, told)
		if err != nil {
			k.options.Log.Error(err, "what is no longer to be preheated was not forgotten", "store", one.Place.String())
		}
		forgot = forgot || n > 0
	}
	return forgot
}

// recordLag is how much younger than a record the gateway's word must be: what is written
// down may be preheated for a DataSet that the gateway did not know yet.
const recordLag = time.Minute

func removeRecords(base *confined.Dir, place census.Place, told preheats) (int, error) {
	dir, err := base.Dir(place.Namespace, place.UID, podstate.PreheatDir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	var names []string
	_, err = dir.List(maxRecords, func(e confined.Entry) bool {
		name, ok := strings.CutSuffix(e.Name, podstate.RecordSuffix)
		if !ok || e.Dir || told.datasets[name] {
			return true
		}
		if st, err := dir.Lstat(e.Name); err == nil && time.Unix(0, st.Mtim.Nano()).Before(told.at.Add(-recordLag)) {
			names = append(names, e.Name)
		}
		return true
	})
	if err != nil || len(names) == 0 {
		return 0, err
	}
	lock, err := dir.TryLock(podstate.PreheatLock)
	if errors.Is(err, filelock.ErrHeld) {
		return 0, nil // a runtime is at it
	}
	if err != nil {
		return 0, err
	}
	defer lock.Release()
	for _, name := range names {
		if err := dir.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
	}
	return len(names), nil
}

// maxRecords is how many records of what is preheated are looked at.
const maxRecords = 1_000
