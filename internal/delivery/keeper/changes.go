// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/confined"
	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/store"
)

// watched are the directories of a store in which changes matter.
var watched = []string{store.SnapshotsDir, store.MarksDir, podstate.PreheatDir, podstate.PodsDir}

const watchMask = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_ONLYDIR

// changes tells, by way of the kernel, when names change in the stores. Where the kernel
// does not let it, because too many watch already, it tells nothing.
type changes struct {
	changed func()
	file    *os.File // nil where the kernel does not tell
	// round counts looks; watches has in which one each was last wanted.
	round   int
	watches map[int]int
}

func newChanges(changed func()) *changes {
	c := &changes{changed: changed, watches: map[int]int{}}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return c
	}
	c.file = os.NewFile(uintptr(fd), "inotify")
	go forwardEvents(c.file, changed)
	return c
}

// forwardEvents ends when the file is closed.
func forwardEvents(file *os.File, changed func()) {
	var events [16 << 10]byte
	for {
		n, err := file.Read(events[:])
		if err != nil {
			return
		}
		if matters(events[:n]) {
			changed()
		}
	}
}

// matters reports whether any of the events is one of names: not merely that a watch
// ended.
func matters(events []byte) bool {
	for len(events) >= unix.SizeofInotifyEvent {
		mask := uint32(events[4]) | uint32(events[5])<<8 | uint32(events[6])<<16 | uint32(events[7])<<24
		length := int(uint32(events[12]) | uint32(events[13])<<8 | uint32(events[14])<<16 | uint32(events[15])<<24)
		if mask&unix.IN_IGNORED == 0 {
			return true
		}
		events = events[min(unix.SizeofInotifyEvent+length, len(events)):]
	}
	return false
}

// begin begins a look.
func (c *changes) begin() { c.round++ }

// end ends the watches of directories that were not named since begin.
func (c *changes) end() {
	for id, round := range c.watches {
		if round != c.round {
			c.control(func(fd int) { _, _ = unix.InotifyRmWatch(fd, uint32(id)) })
			delete(c.watches, id)
		}
	}
}

func (c *changes) close() {
	if c.file != nil {
		_ = c.file.Close()
	}
}

func (c *changes) control(act func(fd int)) {
	if c.file == nil {
		return
	}
	// Not by Fd, which would make reads block and keep close from ending them.
	if raw, err := c.file.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { act(int(fd)) })
	}
}

// watch watches an open directory; one that is watched already stays watched.
func (c *changes) watch(dir *confined.Dir) {
	c.control(func(fd int) {
		path := fmt.Sprintf("/proc/self/fd/%d", dir.Number())
		if id, err := unix.InotifyAddWatch(fd, path, watchMask); err == nil {
			c.watches[id] = c.round
		}
	})
}

// watchStore watches what matters of a store.
func (c *changes) watchStore(dir *confined.Dir) {
	c.watch(dir)
	for _, name := range watched {
		if sub, err := dir.Dir(name); err == nil {
			c.watch(sub)
			sub.Close()
		}
	}
}
