// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/hack/cluster/internal/state"
)

// Identity names one process for ever.
type Identity struct {
	PID int `json:"pid"`
	// Start is the start time in clock ticks after boot (proc(5), stat, field 22).
	Start uint64 `json:"start"`
	// Boot is the boot the process belongs to.
	Boot string `json:"boot"`
}

// stat is what is used of /proc/PID/stat.
type stat struct {
	state byte
	start uint64
}

// Of returns the identity of the process that now has the id pid.
func Of(pid int) (Identity, error) {
	s, err := readStat(pid)
	if err != nil {
		return Identity{}, err
	}
	return Identity{PID: pid, Start: s.start, Boot: state.BootID()}, nil
}

// Alive reports whether the process still runs. One that ended and was not yet
// reaped does not.
func (i Identity) Alive() bool {
	if i.PID <= 0 || i.Boot != state.BootID() {
		return false
	}
	s, err := readStat(i.PID)
	return err == nil && s.start == i.Start && s.state != 'Z' && s.state != 'X'
}

// Signal sends sig to the process, and to no successor of its id. A process
// that ended already is no error.
func (i Identity) Signal(sig unix.Signal) error {
	if !i.Alive() {
		return nil
	}
	fd, err := unix.PidfdOpen(i.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening process %d: %w", i.PID, err)
	}
	defer func() { _ = unix.Close(fd) }()
	// The id may have passed to another process before the pidfd was made; after
	// that it cannot any more.
	if !i.Alive() {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("signalling process %d: %w", i.PID, err)
	}
	return nil
}

// Stop asks the process to end, and after grace makes it.
func (i Identity) Stop(grace time.Duration) error {
	if err := i.Signal(unix.SIGTERM); err != nil {
		return err
	}
	if i.waitGone(grace) {
		return nil
	}
	if err := i.Signal(unix.SIGKILL); err != nil {
		return err
	}
	if !i.waitGone(5 * time.Second) {
		return fmt.Errorf("process %d does not end, even by SIGKILL", i.PID)
	}
	return nil
}

func (i Identity) waitGone(limit time.Duration) bool {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if !i.Alive() {
			return true
		}
	}
	return !i.Alive()
}

// CommandLine is the command of process pid for people to read.
func CommandLine(pid int) string {
	body, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || len(body) == 0 {
		return "?"
	}
	line := string(bytes.ReplaceAll(bytes.TrimRight(body, "\x00"), []byte{0}, []byte{' '}))
	if len(line) > 100 {
		line = line[:100] + "…"
	}
	return line
}

func readStat(pid int) (stat, error) {
	body, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	return parseStat(string(body))
}

// parseStat reads from the last parenthesis on: the name of the program, which
// stands before it, may have parentheses and blanks of its own.
func parseStat(line string) (stat, error) {
	end := strings.LastIndexByte(line, ')')
	if end < 0 {
		return stat{}, fmt.Errorf("reading process status %q: no program name", line)
	}
	fields := strings.Fields(line[end+1:])
	const state, start = 0, 19 // fields 3 and 22 of the line
	if len(fields) <= start {
		return stat{}, fmt.Errorf("reading process status %q: too few fields", line)
	}
	ticks, err := strconv.ParseUint(fields[start], 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("reading process status: %w", err)
	}
	return stat{state: fields[state][0], start: ticks}, nil
}
