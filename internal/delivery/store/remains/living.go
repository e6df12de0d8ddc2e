// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package remains

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"
)

// How long a pod counts as living when no runtime of it runs; packages podref and
// agent say why.
const (
	restartPause = 15 * time.Minute
	endedAfter   = 20 * time.Minute
	deadAfter    = 6 * time.Hour
)

// patience is how long a pod counts as living that is not seen: one whose runtime
// was told to end, and one that was missed.
type patience struct{ ended, missed time.Duration }

// maxPods is how many pods of a store are looked at. One of the runtimes' own has
// no more: the directories of the dead are removed.
const maxPods = 10_000

// lives reports whether a pod of a store may live. One that is missed for the first
// time is marked, as the runtimes of the store itself mark it.
func (r *Remains) lives(root *os.Root, p patience) (bool, error) {
	names, err := directories(root, "pods")
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return true, fmt.Errorf("looking for living pods: %w", err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return true, fmt.Errorf("asking when the machine was started: %w", err)
	}
	lives := false
	for _, name := range names[:min(len(names), maxPods)] {
		alive, err := r.podLives(root, path.Join("pods", name), string(boot), p)
		if err != nil {
			return true, err
		}
		lives = lives || alive
	}
	return lives, nil
}

func (r *Remains) podLives(root *os.Root, dir, boot string, p patience) (bool, error) {
	held, free, err := take(root, path.Join(dir, "lock"))
	defer held.release()
	if err != nil || !free {
		return true, err
	}
	mark := path.Join(dir, "orphaned")
	text, err := root.ReadFile(mark)
	if err != nil || string(text) != boot {
		if _, endedErr := root.Lstat(path.Join(dir, "ended")); endedErr == nil && p.ended == 0 {
			return false, nil
		}
		if err := root.WriteFile(mark, []byte(boot), 0o600); err != nil {
			return true, fmt.Errorf("marking a pod as missed: %w", err)
		}
		return true, nil
	}
	after := p.missed
	if _, err := root.Lstat(path.Join(dir, "ended")); err == nil {
		after = p.ended
	}
	info, err := root.Lstat(mark)
	return err != nil || r.now().Sub(info.ModTime()) < after, nil
}

// locks are files that are held.
type locks []*os.File

func (l locks) release() {
	for _, f := range l {
		_ = f.Close()
	}
}

// quiet takes the locks of a store that keep processes from opening it, if none has
// it open.
func quiet(root *os.Root) (held locks, ok bool, err error) {
	if info, err := root.Lstat("locks"); err != nil || !info.IsDir() {
		return nil, errors.Is(err, fs.ErrNotExist), nil
	}
	for _, name := range []string{"locks/boot", "locks/open"} {
		l, free, err := take(root, name)
		held = append(held, l...)
		if err != nil || !free {
			return held, false, err
		}
	}
	return held, true, nil
}

// take locks a file, unless somebody holds it.
func take(root *os.Root, name string) (locks, bool, error) {
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, false, fmt.Errorf("looking at a lock: %w", err)
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		_ = f.Close()
		return nil, false, nil
	}
	if err != nil {
		_ = f.Close()
		return nil, false, fmt.Errorf("locking %s: %w", name, err)
	}
	return locks{f}, true, nil
}
