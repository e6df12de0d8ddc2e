// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Memory of a process, in bytes.
type Memory struct {
	// Now is what is resident; Peak the most that ever was.
	Now, Peak int64
	// Own is what of Now is not backed by a file, and so cannot be dropped.
	Own int64
}

// MemoryOf returns the memory of a process that lives.
func MemoryOf(pid int) (Memory, error) {
	path := fmt.Sprintf("/proc/%d/status", pid)
	f, err := os.Open(path)
	if err != nil {
		return Memory{}, fmt.Errorf("reading the memory of a process: %w", err)
	}
	defer f.Close()
	var m Memory
	fields := map[string]*int64{"VmRSS:": &m.Now, "VmHWM:": &m.Peak, "RssAnon:": &m.Own}
	scanner := bufio.NewScanner(f)
	for scanner.Scan() {
		words := strings.Fields(scanner.Text())
		if len(words) < 2 || fields[words[0]] == nil {
			continue
		}
		n, err := strconv.ParseInt(words[1], 10, 64)
		if err != nil {
			return Memory{}, fmt.Errorf("reading %s: %w", path, err)
		}
		*fields[words[0]] = n << 10
	}
	if m.Peak == 0 {
		return Memory{}, fmt.Errorf("reading %s: the process has ended", path)
	}
	return m, scanner.Err()
}

// CPUOf returns the processor time that a living process has used, to the
// nanosecond: the ticks of /proc are too coarse for one that is idle.
func CPUOf(pid int) (time.Duration, error) {
	// The clock of another process: its number inverted, and the kind of clock
	// (CPUCLOCK_SCHED) in the low bits, as clock_getcpuclockid(3) makes it.
	const kindSched = 2
	var at unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|kindSched), &at); err != nil {
		return 0, fmt.Errorf("reading the processor time of process %d: %w", pid, err)
	}
	return time.Duration(at.Nano()), nil
}
