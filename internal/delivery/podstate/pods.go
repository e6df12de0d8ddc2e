// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package podstate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/filelock"
)

// Pods is what pods need of one store, and what is kept there for pods to come.
type Pods struct {
	dir, preheat string
	now          func() time.Time
}

// NewPods returns the pods of the store at root.
func NewPods(root string) *Pods {
	return &Pods{dir: filepath.Join(root, PodsDir), preheat: filepath.Join(root, PreheatDir), now: time.Now}
}

// Needed returns the snapshots that a living pod is at or can go back to. It is
// for store.Options.
func (p *Pods) Needed() (map[snapshot.ID]bool, error) { return idsOf(p.Users()) }

// idsOf returns the snapshots that anything is said of.
func idsOf(names map[snapshot.ID][]string, err error) (map[snapshot.ID]bool, error) {
	if err != nil {
		return nil, err
	}
	ids := make(map[snapshot.ID]bool, len(names))
	for id := range names {
		ids[id] = true
	}
	return ids, nil
}

// Users returns the UIDs of the living pods that need a snapshot.
func (p *Pods) Users() (map[snapshot.ID][]string, error) {
	entries, err := os.ReadDir(p.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // a store without pods
	}
	if err != nil {
		return nil, fmt.Errorf("looking for the pods of the store: %w", err)
	}
	users := map[snapshot.ID][]string{}
	for _, e := range entries {
		d := Dir(filepath.Join(p.dir, e.Name()))
		if !e.IsDir() || e.Name()[0] == '.' || !d.mayLive(p.now()) {
			continue
		}
		ids, err := d.neededSnapshots()
		if err != nil {
			return nil, fmt.Errorf("reading what pod %s needs: %w", e.Name(), err)
		}
		for id := range ids {
			users[id] = append(users[id], e.Name())
		}
	}
	return users, nil
}

// mayLive reports whether a pod may live. In doubt it does.
func (d Dir) mayLive(now time.Time) bool {
	if d.isLocked() {
		return true
	}
	mark := d.path(OrphanFile)
	text, err := os.ReadFile(mark)
	if err != nil {
		return true // its runtime has not been missed yet
	}
	boot, err := BootID()
	if err != nil || string(boot) != string(text) {
		return true // missed before the machine started; the kubelet may be about to start it
	}
	info, err := os.Stat(mark)
	return err != nil || now.Sub(info.ModTime()) < RestartPause
}

// isLocked reports whether the pod's runtime runs.
func (d Dir) isLocked() bool {
	f, err := os.OpenFile(d.path(LockFile), os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(filelock.Lock(f, unix.LOCK_SH|unix.LOCK_NB), filelock.ErrHeld)
}

// neededSnapshots reads what a pod's runtime remembers: what it has delivered, and
// what it fetched for later.
func (d Dir) neededSnapshots() (map[snapshot.ID]bool, error) {
	ids := map[snapshot.ID]bool{}
	for _, dir := range []string{DatasetsDir, PrefetchDir} {
		files, err := filepath.Glob(filepath.Join(d.path(dir), "*"+RecordSuffix))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			r, err := readReferences(file)
			if err != nil {
				return nil, err
			}
			if r.Preheat && !d.isLocked() {
				continue // the pod was there for nothing else, and ends when it is done
			}
			for id := range r.Snapshots() {
				ids[id] = true
			}
		}
	}
	return ids, nil
}

// readReferences reads a record for the snapshots that it names. One that is torn names
// nothing: the runtime does not remember it either.
func readReferences(file string) (*Record, error) {
	r, err := readRecord(file)
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, err
	}
	return r, nil
}

// References returns the snapshots that a record names, of a DataSet in a pod's directory
// or in PreheatDir, for who read it itself, and whether its pod is there to preheat.
// A record that is torn names nothing.
func References(record []byte) (ids []snapshot.ID, preheat bool) {
	var r struct {
		Revisions map[string]struct {
			Items map[string]struct {
				Snapshot snapshot.ID `json:"snapshot"`
			} `json:"items"`
		} `json:"revisions"`
		Preheat bool `json:"preheat"`
	}
	if json.Unmarshal(record, &r) != nil {
		return nil, false
	}
	for _, revision := range r.Revisions {
		for _, item := range revision.Items {
			if item.Snapshot.Valid() {
				ids = append(ids, item.Snapshot)
			}
		}
	}
	return ids, r.Preheat
}
