// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"context"
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
	idle, total, err := processorTimes()
	if err != nil {
		return 0, err
	}
	select {
	case <-time.After(window):
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	idle2, total2, err := processorTimes()
	if err != nil || total2 == total {
		return 0, err
	}
	return 1 - float64(idle2-idle)/float64(total2-total), nil
}

// processorTimes returns the ticks that all processors were idle, and all ticks.
func processorTimes() (idle, total int64, err error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, fmt.Errorf("reading how busy the machine is: %w", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	for i, word := range strings.Fields(line)[1:] {
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("reading /proc/stat: %w", err)
		}
		if i < 8 { // those of guests are counted before
			total += n
		}
		if i == 3 || i == 4 { // idle, and idle for a disk
			idle += n
		}
	}
	return idle, total, nil
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
