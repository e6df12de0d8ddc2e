// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package podref

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/filelock"
)

// restartPause is how long a pod without a runtime counts as living. The kubelet
// waits up to five minutes before it starts a container again that keeps failing.
const restartPause = 15 * time.Minute

// Pods is what pods need of one store, and what is kept there for pods to come.
type Pods struct {
	dir, preheat string
	now          func() time.Time
}

// New returns the pods of the store at root.
func New(root string) *Pods {
	return &Pods{dir: filepath.Join(root, "pods"), preheat: filepath.Join(root, PreheatDir), now: time.Now}
}

// Needed returns the snapshots that a living pod is at or can go back to. It is
// for store.Options.
func (p *Pods) Needed() (map[snapshot.ID]bool, error) {
	users, err := p.Users()
	if err != nil {
		return nil, err
	}
	needed := make(map[snapshot.ID]bool, len(users))
	for id := range users {
		needed[id] = true
	}
	return needed, nil
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
		if !e.IsDir() || e.Name()[0] == '.' || !p.mayLive(e.Name()) {
			continue
		}
		ids, err := p.podSnapshots(e.Name())
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
func (p *Pods) mayLive(uid string) bool {
	dir := filepath.Join(p.dir, uid)
	if isLocked(filepath.Join(dir, "lock")) {
		return true
	}
	mark := filepath.Join(dir, "orphaned")
	text, err := os.ReadFile(mark)
	if err != nil {
		return true // its runtime has not been missed yet
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil || string(boot) != string(text) {
		return true // missed before the machine started; the kubelet may be about to start it
	}
	info, err := os.Stat(mark)
	return err != nil || p.now().Sub(info.ModTime()) < restartPause
}

func isLocked(path string) bool {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(filelock.Lock(f, unix.LOCK_SH|unix.LOCK_NB), filelock.ErrHeld)
}

// podSnapshots reads what a pod's runtime remembers: what it has delivered, and
// what it fetched for later.
func (p *Pods) podSnapshots(uid string) (map[snapshot.ID]bool, error) {
	var files []string
	for _, dir := range []string{"datasets", "prefetch"} {
		found, err := filepath.Glob(filepath.Join(p.dir, uid, dir, "*"+suffix))
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	ids := map[snapshot.ID]bool{}
	for _, file := range files {
		r, err := readRecord(file)
		if err != nil {
			return nil, err
		}
		if r.Preheat && !isLocked(filepath.Join(p.dir, uid, "lock")) {
			continue // the pod was there for nothing else, and ends when it is done
		}
		r.eachSnapshot(func(id snapshot.ID) { ids[id] = true })
	}
	return ids, nil
}
