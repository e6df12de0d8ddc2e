//go:build integration

// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// attackersProcessor returns the last processor, which is that of the attackers.
func attackersProcessor() (hostile unix.CPUSet, err error) {
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
	return hostile, nil
}

// startAttacker starts a process on the processor, with what others leave of it:
// attackers have machines of their own. What a flood costs is then what it costs the
// servers, not what its senders take of their processors.
func startAttacker(cmd *exec.Cmd, processor unix.CPUSet) error {
	// A process has the processors and the priority of the thread that starts it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	if err := errors.Join(unix.SchedSetaffinity(0, &processor), unix.Setpriority(unix.PRIO_PROCESS, 0, 19)); err != nil {
		return err
	}
	err := cmd.Start()
	return errors.Join(err, unix.SchedSetaffinity(0, &before), unix.Setpriority(unix.PRIO_PROCESS, 0, 0))
}
