// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"os"

	"golang.org/x/sys/unix"
)

// watch tells, by way of the kernel, when names change in directories. Where the
// kernel does not let it, because too many do already, it tells nothing.
type watch struct {
	told chan struct{}
	file *os.File // nil where the kernel does not tell; for the goroutine that has the watch
	mask uint32
	dirs []string
}

func newWatch(mask uint32, dirs ...string) *watch {
	w := &watch{told: make(chan struct{}, 1), mask: mask | unix.IN_ONLYDIR, dirs: dirs}
	w.startWatching()
	return w
}

// startWatching begins to watch, all directories or none.
func (w *watch) startWatching() {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return
	}
	w.file = os.NewFile(uintptr(fd), "inotify")
	if !w.addWatches() {
		w.stopWatching()
		return
	}
	go w.forwardEvents(w.file)
}

// addWatches watches what has the directories' names now, and reports whether it can watch
// all of them. Those that it watches already stay watched.
func (w *watch) addWatches() bool {
	// Not by Fd, which would make reads block and keep stop from ending them.
	raw, err := w.file.SyscallConn()
	if err != nil {
		return false
	}
	all := true
	err = raw.Control(func(fd uintptr) {
		for _, dir := range w.dirs {
			if _, err := unix.InotifyAddWatch(int(fd), dir, w.mask); err != nil {
				all = false
			}
		}
	})
	return err == nil && all
}

// forwardEvents ends when the file is closed.
func (w *watch) forwardEvents(file *os.File) {
	var events [4096]byte
	for {
		if _, err := file.Read(events[:]); err != nil {
			return
		}
		select {
		case w.told <- struct{}{}:
		default:
		}
	}
}

// stopWatching ends the watch, but does not wait for that: the kernel takes some ten
// milliseconds to close it.
func (w *watch) stopWatching() {
	if w.file != nil {
		go w.file.Close() // nothing was written
		w.file = nil
	}
}

// Changes tells when something came into a store or went, and when it may have
// been deleted.
type Changes struct{ watch *watch }

// Changes begins to watch snapshots, downloads and marks, and further directories
// that are given by their paths and must exist. Where the kernel gives no watch,
// nothing is told.
func (s *Store) Changes(dirs ...string) *Changes {
	return &Changes{newWatch(unix.IN_CREATE|unix.IN_DELETE|unix.IN_MOVED_TO|unix.IN_MOVED_FROM|unix.IN_DELETE_SELF|unix.IN_MOVE_SELF,
		append(dirs, s.snapshots, s.marks)...)}
}

// Told gets something after each change; changes in a row may be told once.
func (c *Changes) Told() <-chan struct{} { return c.watch.told }

// Renew watches what has the directories' names now: they may have been deleted
// and made again. It is for the goroutine that calls Stop.
func (c *Changes) Renew() {
	if c.watch.file == nil {
		c.watch.startWatching()
		return
	}
	c.watch.addWatches()
}

// Stop ends the watch.
func (c *Changes) Stop() { c.watch.stopWatching() }
