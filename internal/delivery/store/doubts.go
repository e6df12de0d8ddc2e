// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"
)

// WatchDoubts calls told, until the context ends, after snapshots were marked to be read
// before they are served, which the keeper of a node does with those that it found damaged;
// after snapshots were moved away, which another process does with those that it found
// damaged; and once when it begins. Who deletes a store by hand is left to do so. Where the kernel gives no watch, and once the
// directories are deleted, it is never called: a mark is followed all the same when the
// snapshot is next used.
func (s *Store) WatchDoubts(ctx context.Context, told func()) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		<-ctx.Done()
		return
	}
	file := os.NewFile(uintptr(fd), "inotify")
	defer context.AfterFunc(ctx, func() { _ = file.Close() })()
	for dir, mask := range map[string]uint32{s.locks: unix.IN_CREATE | unix.IN_MOVED_TO, s.snapshots: unix.IN_MOVED_FROM} {
		if _, err := unix.InotifyAddWatch(fd, dir, mask|unix.IN_ONLYDIR); err != nil {
			<-ctx.Done()
			return
		}
	}
	told() // for what was marked or moved away before the watch
	var events [8192]byte
	for {
		n, err := file.Read(events[:])
		if err != nil {
			<-ctx.Done()
			return
		}
		if hasDoubt(events[:n]) {
			told()
		}
	}
}

// hasDoubt reports whether one of the events is of a mark, or of a snapshot that was moved
// away.
func hasDoubt(events []byte) bool {
	for len(events) >= unix.SizeofInotifyEvent {
		mask := binary.NativeEndian.Uint32(events[4:])
		length := int(binary.NativeEndian.Uint32(events[12:]))
		end := min(unix.SizeofInotifyEvent+length, len(events))
		name, _, _ := bytes.Cut(events[unix.SizeofInotifyEvent:end], []byte{0})
		if mask&unix.IN_MOVED_FROM != 0 {
			if !bytes.HasSuffix(name, []byte(partialSuffix)) {
				return true
			}
		} else if bytes.HasSuffix(name, []byte(suspectSuffix)) {
			return true
		}
		events = events[end:]
	}
	return false
}
