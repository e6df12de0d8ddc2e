// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package remains

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/filelock"
)

// patience is how long a pod counts as living that is not seen: one whose runtime
// was told to end, and one that was missed.
type patience struct{ ended, missed time.Duration }

// maxPods is how many pods of a store are looked at. One of the runtimes' own has
// no more: the directories of the dead are removed.
const maxPods = 10_000

// hasLivePods reports whether a pod of a store may live. One that is missed for the first
// time is marked, as the runtimes of the store itself mark it.
func (r *Remains) hasLivePods(root *os.Root, p patience) (bool, error) {
	pods, err := openDir(root, podstate.PodsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return true, fmt.Errorf("looking for living pods: %w", err)
	}
	defer pods.Close()
	names, err := listDirectories(pods, ".")
	if err != nil {
		return true, fmt.Errorf("looking for living pods: %w", err)
	}
	boot, err := podstate.BootID()
	if err != nil {
		return true, err
	}
	lives := false
	for _, name := range names[:min(len(names), maxPods)] {
		pod, err := openDir(pods, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return true, fmt.Errorf("looking at pod %s: %w", name, err)
		}
		alive, err := r.podLives(pod, string(boot), p)
		_ = pod.Close()
		if err != nil {
			return true, fmt.Errorf("looking at pod %s: %w", name, err)
		}
		lives = lives || alive
	}
	return lives, nil
}

func (r *Remains) podLives(pod *os.Root, boot string, p patience) (bool, error) {
	held, free, err := tryLockFile(pod, podstate.LockFile)
	defer held.releaseAll()
	if err != nil || !free {
		return true, err
	}
	_, err = pod.Lstat(podstate.EndedFile)
	ended := err == nil
	if ended && p.ended == 0 {
		return false, nil
	}
	missed, text := time.Time{}, []byte(nil)
	if info, err := pod.Lstat(podstate.OrphanFile); err == nil && info.Mode().IsRegular() {
		missed = info.ModTime()
		text, _ = pod.ReadFile(podstate.OrphanFile) // what cannot be read is written anew
	}
	if string(text) != boot {
		// Anything else of that name was not made by a runtime.
		if err := pod.RemoveAll(podstate.OrphanFile); err != nil {
			return true, err
		}
		return true, pod.WriteFile(podstate.OrphanFile, []byte(boot), 0o600)
	}
	after := p.missed
	if ended {
		after = p.ended
	}
	return r.now().Sub(missed) < after, nil
}

// locks are files that are held.
type locks []*os.File

func (l locks) releaseAll() {
	for _, f := range l {
		_ = f.Close()
	}
}

// lockStore takes the locks of a store that keep processes from opening it, if none has
// it open.
func lockStore(root *os.Root) (held locks, ok bool, err error) {
	dir, err := openDir(root, "locks")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, true, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("looking at the locks: %w", err)
	}
	defer dir.Close()
	for _, name := range []string{"boot", "open"} {
		l, free, err := tryLockFile(dir, name)
		held = append(held, l...)
		if err != nil || !free {
			return held, false, err
		}
	}
	return held, true, nil
}

// tryLockFile locks a file, unless another process holds it. A directory, a link or a pipe
// of that name cannot be held.
func tryLockFile(root *os.Root, name string) (locks, bool, error) {
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if errors.Is(err, unix.EISDIR) || errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENXIO) {
		return nil, true, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("looking at a lock: %w", err)
	}
	err = filelock.Lock(f, unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return locks{f}, true, nil
	}
	_ = f.Close()
	if errors.Is(err, filelock.ErrHeld) {
		return nil, false, nil
	}
	return nil, false, err
}
