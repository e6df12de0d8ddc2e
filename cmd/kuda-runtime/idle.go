// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// restAfter is how long after the end of work memory is given back. That takes
// milliseconds of a processor, and right after a delivery other pods of the node
// may be about to switch to the same data.
const restAfter = time.Second

// rest calls a function a while after work last ended. It does not know of work
// that began since.
type rest struct{ timer *time.Timer }

// newRest returns one that calls f. No call has been asked for yet.
func newRest(f func()) *rest {
	r := &rest{timer: time.AfterFunc(restAfter, f)}
	r.timer.Stop()
	return r
}

// scheduleCall asks for a call; one that was asked for before and has not come is put off.
func (r *rest) scheduleCall() { r.timer.Reset(restAfter) }

// giveBack returns the memory that a delivery needed. What the heap has free goes
// back to the kernel, and pages of the program itself are unmapped: most of a
// sidecar's resident memory is code that only deliveries run. The page cache
// keeps them, for all pods of the node, and they come back when they are called.
func giveBack() {
	debug.FreeOSMemory()
	program, err := os.Executable()
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer maps.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		if from, to, ok := programPages(lines.Text(), program); ok {
			// Advice: without it the pages just stay.
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED)
		}
	}
}

// programPages reads a line of /proc/self/maps. It reports whether the pages are
// the program's and can only be read, so that the file has all of them.
func programPages(line, program string) (from, to uintptr, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 6 || fields[5] != program || (fields[1] != "r-xp" && fields[1] != "r--p") {
		return 0, 0, false
	}
	first, last, _ := strings.Cut(fields[0], "-")
	begin, err := strconv.ParseUint(first, 16, 64)
	if err != nil {
		return 0, 0, false
	}
	end, err := strconv.ParseUint(last, 16, 64)
	if err != nil || end <= begin {
		return 0, 0, false
	}
	return uintptr(begin), uintptr(end), true
}
