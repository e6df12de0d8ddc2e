// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
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
	stop  func()
}

// watchedPause is the shortest time between two looks where arrivals are told:
// what remains to be found by looking is a writer that ended without a snapshot.
const watchedPause = 100 * time.Millisecond

// watchSnapshots begins to watch. Where the kernel does not let it, because too many
// do already, nothing is told, and who waits looks more often.
func (d directory) watchSnapshots() *arrivals {
	w := newWatch(unix.IN_MOVED_TO, d.snapshots)
	if w.file == nil {
		return &arrivals{pause: nextPause, stop: func() {}}
	}
	return &arrivals{
		came:  w.told,
		pause: func(waited time.Duration) time.Duration { return max(nextPause(waited), watchedPause) },
		stop:  w.stopWatching,
	}
}
