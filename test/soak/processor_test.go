//go:build integration

// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// divideProcessors keeps this process and those that it starts off the last
// processor, which it returns: that is the attackers'. What a flood costs is then
// what it costs the servers, not what its senders take of their processor. A
// machine of one processor is shared.
func divideProcessors() (hostile unix.CPUSet, err error) {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return hostile, fmt.Errorf("reading the processors of the process: %w", err)
	}
	for cpu := range len(all) * 64 {
		if all.IsSet(cpu) {
			hostile.Zero()
			hostile.Set(cpu)
		}
	}
	if all.Count() == 1 {
		return hostile, nil
	}
	served := all
	for cpu := range len(all) * 64 {
		if hostile.IsSet(cpu) {
			served.Clear(cpu)
		}
	}
	// Each thread has its own; one that is made has those of the thread that makes it.
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return hostile, fmt.Errorf("listing the threads of the process: %w", err)
	}
	for _, task := range tasks {
		thread, err := strconv.Atoi(task.Name())
		if err != nil {
			continue
		}
		if err := unix.SchedSetaffinity(thread, &served); err != nil {
			return hostile, fmt.Errorf("choosing the processors of the process: %w", err)
		}
	}
	return hostile, nil
}

// startOn starts a process on the processors.
func startOn(cmd *exec.Cmd, processors unix.CPUSet) error {
	// A process has the processors of the thread that starts it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	if err := unix.SchedSetaffinity(0, &processors); err != nil {
		return err
	}
	err := cmd.Start()
	if restoreErr := unix.SchedSetaffinity(0, &before); err == nil {
		err = restoreErr
	}
	return err
}
