// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// arrivals tells when a snapshot may have come: the kernel says so when a
// directory of the store gets its name. Tens of processes that wait for the same
// download would else take a good part of the processors from it by looking
// whether it is there, and still learn of it late.
type arrivals struct {
	came  chan struct{} // nil where the kernel does not tell
	pause func(waited time.Duration) time.Duration
	file  *os.File
}

// watchedPause is the shortest time between two looks where arrivals are told:
// what remains to be found by looking is a writer that ended without a snapshot.
const watchedPause = 100 * time.Millisecond

// arrivals begins to watch. Where the kernel does not let it, because too many
// do already, nothing is told, and who waits looks more often.
func (s *Store) arrivals() *arrivals {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return &arrivals{pause: pause}
	}
	if _, err := unix.InotifyAddWatch(fd, s.snapshots, unix.IN_MOVED_TO|unix.IN_ONLYDIR); err != nil {
		_ = unix.Close(fd)
		return &arrivals{pause: pause}
	}
	a := &arrivals{
		came:  make(chan struct{}, 1),
		pause: func(waited time.Duration) time.Duration { return max(pause(waited), watchedPause) },
		file:  os.NewFile(uintptr(fd), "inotify"),
	}
	go a.listen()
	return a
}

// listen ends when the file is closed.
func (a *arrivals) listen() {
	var events [4096]byte
	for {
		if _, err := a.file.Read(events[:]); err != nil {
			return
		}
		select {
		case a.came <- struct{}{}:
		default:
		}
	}
}

// stop ends the watch, but does not wait for that: the kernel takes some ten
// milliseconds to close it.
func (a *arrivals) stop() {
	if a.file != nil {
		go a.file.Close() //nolint:errcheck // nothing was written
	}
}
