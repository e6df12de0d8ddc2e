// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Machine is what figures depend on.
type Machine struct {
	CPU         string `json:"cpu"`
	Cores       int    `json:"cores"`
	MemoryBytes uint64 `json:"memoryBytes"`
	Kernel      string `json:"kernel"`
	// FileSystem is that of the directory that clients write to.
	FileSystem string `json:"fileSystem"`
}

// Describe returns the machine, and the file system of a directory.
func Describe(dir string) (Machine, error) {
	m := Machine{Cores: runtime.NumCPU(), CPU: "unknown"}
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return m, fmt.Errorf("reading the size of the memory: %w", err)
	}
	m.MemoryBytes = info.Totalram * uint64(info.Unit)
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return m, fmt.Errorf("reading the kernel's version: %w", err)
	}
	m.Kernel = unix.ByteSliceToString(name.Release[:])
	var err error
	m.FileSystem, err = fileSystem(dir)
	return m, err
}

// fileSystem returns the type of the mount that a directory is on.
func fileSystem(dir string) (string, error) {
	var at unix.Stat_t
	if err := unix.Stat(dir, &at); err != nil {
		return "", fmt.Errorf("finding the file system of %s: %w", dir, err)
	}
	device := fmt.Sprintf("%d:%d", unix.Major(at.Dev), unix.Minor(at.Dev))
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("finding the file system of %s: %w", dir, err)
	}
	for line := range strings.Lines(string(mounts)) {
		mount, kind, ok := strings.Cut(line, " - ")
		if f := strings.Fields(mount); ok && len(f) > 2 && f[2] == device {
			return strings.Fields(kind)[0], nil
		}
	}
	return "unknown", nil
}

// Busy returns which share of the processors is used while it looks, 0 to 1.
func Busy(ctx context.Context, window time.Duration) (float64, error) {
	before, err := Processors()
	if err != nil {
		return 0, err
	}
	select {
	case <-time.After(window):
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	after, err := Processors()
	if err != nil || after.total == before.total {
		return 0, err
	}
	return 1 - float64(after.idle-before.idle)/float64(after.total-before.total), nil
}

// Ticks of all processors since the machine was started.
type Ticks struct{ total, idle, stolen int64 }

// StolenSince returns which share of the processors the host of a virtual
// machine gave to others since an earlier moment, 0 to 1.
func (t Ticks) StolenSince(before Ticks) float64 {
	if t.total == before.total {
		return 0
	}
	return float64(t.stolen-before.stolen) / float64(t.total-before.total)
}

// Processors returns the ticks until now.
func Processors() (Ticks, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return Ticks{}, fmt.Errorf("reading how busy the machine is: %w", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	var t Ticks
	for i, word := range strings.Fields(line)[1:] {
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return Ticks{}, fmt.Errorf("reading /proc/stat: %w", err)
		}
		switch i {
		case 3, 4: // idle, and idle for a disk
			t.idle += n
		case 7:
			t.stolen = n
		}
		if i < 8 { // those of guests are counted before
			t.total += n
		}
	}
	return t, nil
}

// TouchMemory takes that much memory, writes to it and gives it back. A virtual
// machine may have returned free memory to its host: taking it again costs time
// that would be counted for the program that happens to need it first. What goes
// back is whole huge pages, and single pages that are freed come after those when
// the kernel looks for memory again: only huge pages of our own help. It takes half
// of what is free at most.
func TouchMemory(bytes int64) error {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return fmt.Errorf("reading the size of the memory: %w", err)
	}
	bytes = min(bytes, int64(info.Freeram)*int64(info.Unit)/2)
	if bytes <= 0 {
		return nil
	}
	memory, err := unix.Mmap(-1, 0, int(bytes), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("touching %d bytes of memory: %w", bytes, err)
	}
	_ = unix.Madvise(memory, unix.MADV_HUGEPAGE) // a kernel without them has none to give back
	err = unix.Madvise(memory, unix.MADV_POPULATE_WRITE)
	if err := errors.Join(err, unix.Munmap(memory)); err != nil {
		return fmt.Errorf("touching %d bytes of memory: %w", bytes, err)
	}
	return nil
}

// Load returns the load average over one minute.
func Load() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), " ")
	n, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0
	}
	return n
}
