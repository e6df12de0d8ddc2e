// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// pollEvery is how often the memory of a running program is looked at.
const pollEvery = 5 * time.Millisecond

// endBytes of what a program printed first, and of what it printed last, are
// kept for its error: some say what is wrong at the beginning, some at the end.
const endBytes = 300

// Usage is what one run of a program cost.
type Usage struct {
	Wall time.Duration
	// CPU is user and system time, of the program and of its children that it
	// waited for.
	CPU time.Duration
	// RSS is the largest resident set, in bytes, of a single process.
	RSS int64
}

// Run runs a program to its end. When ctx ends first, the program is killed
// with everything it started, and so it is when this process dies. An error
// carries the ends of the program's output.
func Run(ctx context.Context, cmd *exec.Cmd) (Usage, error) {
	output := &ends{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	// The kernel sends the death signal when the starting thread ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	started := time.Now()
	if err := cmd.Start(); err != nil {
		return Usage{}, fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	pid := cmd.Process.Pid
	stop := context.AfterFunc(ctx, func() { _ = syscall.Kill(-pid, syscall.SIGKILL) })
	defer stop()
	done, peak := make(chan struct{}), make(chan int64, 1)
	go func() { peak <- watch(pid, done) }()
	err := cmd.Wait()
	wall := time.Since(started)
	close(done)
	u := Usage{Wall: wall, CPU: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), RSS: <-peak}
	// A child begins with the high-water mark of the process that forked it, so
	// the kernel's figure says something only when it is above our own.
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		if most := usage.Maxrss << 10; most > ownPeak() {
			u.RSS = most
		}
	}
	if cause := context.Cause(ctx); cause != nil {
		return u, fmt.Errorf("running %s: %w", cmd.Path, cause)
	}
	if err != nil {
		return u, fmt.Errorf("running %s: %w: %s", filepath.Base(cmd.Path), err, output)
	}
	return u, nil
}

// watch returns the high-water mark of a process that it saw last.
func watch(pid int, done <-chan struct{}) int64 {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	var peak int64
	for {
		if m, err := MemoryOf(pid); err == nil {
			peak = max(peak, m.Peak)
		}
		select {
		case <-ticker.C:
		case <-done:
			return peak
		}
	}
}

func ownPeak() int64 {
	m, err := MemoryOf(syscall.Getpid())
	if err != nil {
		return 0
	}
	return m.Peak
}

// ends keeps the beginning and the end of what is written to it.
type ends struct {
	mu          sync.Mutex
	first, last []byte
	left        int
}

func (e *ends) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := len(p)
	if room := min(endBytes-len(e.first), n); room > 0 {
		e.first, p = append(e.first, p[:room]...), p[room:]
	}
	e.last = append(e.last, p...)
	if over := len(e.last) - endBytes; over > 0 {
		e.last, e.left = append(e.last[:0], e.last[over:]...), e.left+over
	}
	return n, nil
}

func (e *ends) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	between := ""
	if e.left > 0 {
		between = " … "
	}
	return strings.Join(strings.Fields(string(e.first)+between+string(e.last)), " ")
}

// ErrTimeout is the cause of a context that ended a run which took too long.
var ErrTimeout = errors.New("it took longer than its time limit")
